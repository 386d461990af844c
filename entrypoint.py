"""Starts the gate as a step of a workflow: `python3 -I entrypoint.py` imports nothing from the checkout."""

import os
import signal
import sys
from pathlib import Path

for number in (signal.SIGINT, signal.SIGTERM):  # during the imports there is nothing to report yet
    signal.signal(number, lambda number, _: os._exit(128 + number))

sys.path.insert(0, str(Path(__file__).resolve().parent))

from sepurux_action.__main__ import start_action

if __name__ == "__main__":
    start_action()
