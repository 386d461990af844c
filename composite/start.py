"""Starts the gate as a step of the composite action: `python -I start.py` imports nothing from the checkout."""

import json
import os
import signal
import sys
from pathlib import Path
from typing import NoReturn

signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})  # until the gate handles them

# Last, so that a file of the action's folder, which may be a checkout, replaces no module of Python or of a package.
sys.path.append(str(Path(__file__).resolve().parent.parent))

COPY = "Use sepurux/gate-action/composite or a copy of the whole repository, and re-run the job."


def stop(reason: str) -> NoReturn:
    """End with the status of a step without a result; run.sh has set the outputs."""
    print(f"::error title=Sepurux gate::{reason}", flush=True)  # noqa: T201 - the runner reads it
    sys.exit(2)


def read_inputs(text: str) -> dict[str, str]:
    """Return the inputs of this step, misspelled ones too."""
    try:
        inputs = json.loads(text)
    except ValueError:
        inputs = None
    if not isinstance(inputs, dict) or not all(isinstance(value, str) for value in inputs.values()):
        stop(f"The inputs did not reach the gate: GATE_INPUTS is not a JSON object of texts. {COPY}")
    return inputs


if __name__ == "__main__":
    # INPUT_* variables belong to a surrounding action or an earlier step.
    environ = {name: text for name, text in os.environ.items() if not name.startswith("INPUT_")}
    try:
        from sepurux_action.__main__ import start_action

        inputs = read_inputs(environ.pop("GATE_INPUTS", ""))
        start_action(environ | {f"INPUT_{name.replace(' ', '_').upper()}": text for name, text in inputs.items()})
    except ImportError as error:
        stop(f"The gate's files or packages are incomplete: there is no module {error.name}. {COPY}")
