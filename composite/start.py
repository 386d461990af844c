"""Starts the gate as a step of the composite action: `python -I start.py` imports nothing from the checkout."""

import json
import os
import signal
import sys
from pathlib import Path

for number in (signal.SIGINT, signal.SIGTERM):  # during the imports there is nothing to report yet
    signal.signal(number, lambda number, _: os._exit(128 + number))

# Last, so that a file of the action's folder, which may be a checkout, replaces no module of Python or of a package.
sys.path.append(str(Path(__file__).resolve().parent.parent))

from sepurux_action.__main__ import start_action

if __name__ == "__main__":
    # The inputs of this step, misspelled ones too. INPUT_* variables belong to a surrounding action or an earlier step.
    environ = {name: text for name, text in os.environ.items() if not name.startswith("INPUT_")}
    inputs = json.loads(environ.pop("GATE_INPUTS"))
    start_action(environ | {f"INPUT_{name.replace(' ', '_').upper()}": text for name, text in inputs.items()})
