"""Starts the gate as a step of a workflow: `python3 -I entrypoint.py` imports nothing from the checkout."""

import signal
import sys
from pathlib import Path

signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})  # until the gate handles them

sys.path.insert(0, str(Path(__file__).resolve().parent))

from sepurux_action.__main__ import start_action

if __name__ == "__main__":
    start_action()
