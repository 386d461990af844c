"""Starts the gate as a step of the composite action: `python -I start.py` imports nothing from the checkout."""

import os
import signal
import sys
from pathlib import Path

for number in (signal.SIGINT, signal.SIGTERM):  # during the imports there is nothing to report yet
    signal.signal(number, lambda number, _: os._exit(128 + number))

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from sepurux_action.__main__ import start_action
from sepurux_action.config.options import BY_NAME

INPUTS = {f"INPUT_{name.upper()}" for name in BY_NAME}

if __name__ == "__main__":
    # action.yml passes every input of this step. Any other INPUT_* variable belongs to a surrounding action or an
    # earlier step and is not a misspelled input.
    for name in {name for name in os.environ if name.startswith("INPUT_")} - INPUTS:
        del os.environ[name]
    start_action()
