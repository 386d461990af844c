"""Starts the gate as a step of the composite action: by `python -I start.py`, so nothing of a checkout is imported."""

import os
import signal
import sys
from pathlib import Path

for number in (signal.SIGINT, signal.SIGTERM):  # while the rest is imported there is nothing to tell and to clean up
    signal.signal(number, lambda number, _: os._exit(128 + number))

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from sepurux_action.__main__ import start_action
from sepurux_action.config.options import BY_SPELLING

INPUTS = {f"INPUT_{spelling.upper()}" for spelling in BY_SPELLING}

if __name__ == "__main__":
    # What action.yml hands on is all that this step was given. Any other INPUT_* belongs to an action around this one,
    # or to an earlier step, and is no misspelt input.
    for name in {name for name in os.environ if name.startswith("INPUT_")} - INPUTS:
        del os.environ[name]
    start_action()
