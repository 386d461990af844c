"""Starts the gate as a step of a workflow: by `python3 -I entrypoint.py`, so nothing of a checkout is imported."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from sepurux_action.__main__ import start_action

if __name__ == "__main__":
    start_action()
