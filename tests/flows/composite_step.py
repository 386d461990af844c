"""Runs a composite action as GitHub's runner does; the runner for tests starts this file instead of `entrypoint.py`.

Inputs are a context and not variables, so only `env:` passes them on, and the script is in a file (sources:
CompositeActionHandler and ScriptHandler of actions/runner). What action.yml declares is an input. Any other INPUT_* is
a variable of the job, an earlier step, or a surrounding action, and remains.

COMPOSITE_ACTION names the action's folder.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

BASH = ("bash", "--noprofile", "--norc", "-e", "-o", "pipefail")  # the meaning of `shell: bash`


def evaluated(text: str, contexts: Mapping[str, Mapping[str, str]]) -> str:
    """Return the text with each `${{ context.name }}` replaced, by '' for an unknown name.

    `inputs` and `steps.gate.outputs` are contexts. Raises ValueError for any other expression.
    """

    def value(found: re.Match[str]) -> str:
        context, _, name = found[1].rpartition(".")
        if context not in contexts:
            raise ValueError(f"an expression that is not supported here: {found[0]}")
        return contexts[context].get(name, "")

    return re.sub(r"\$\{\{\s*(.*?)\s*\}\}", value, text)


def read_action(folder: Path) -> dict[str, Any]:
    """Return the content of action.yml, with every scalar as a text."""
    loaded: dict[str, Any] = yaml.load((folder / "action.yml").read_text(encoding="utf-8"), yaml.BaseLoader)  # noqa: S506 - BaseLoader makes only texts, lists and mappings
    return loaded


def only_step(action: Mapping[str, Any]) -> dict[str, Any]:
    """Return the step of a composite action; raises ValueError if there is not exactly one."""
    (step,) = action["runs"]["steps"]
    return dict(step)


def shell_step(folder: Path, environment: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """Return the script of the action's only step, and the environment in which it runs."""
    action = read_action(folder)
    step = only_step(action)
    if step["shell"] != "bash":
        raise ValueError(f"a shell that is not supported here: {step['shell']}")
    given = {f"INPUT_{name.upper()}": name for name in action["inputs"]}
    inputs = {given[name]: value for name, value in environment.items() if name in given}
    variables = {name: value for name, value in environment.items() if name not in given}
    variables |= {name: evaluated(text, {"inputs": inputs}) for name, text in step["env"].items()}
    return evaluated(step["run"], {"inputs": inputs}), {**variables, "GITHUB_ACTION_PATH": str(folder)}


if __name__ == "__main__":
    script, wanted = shell_step(Path(os.environ["COMPOSITE_ACTION"]), os.environ)
    descriptor, path = tempfile.mkstemp(suffix=".sh", dir=os.environ["RUNNER_TEMP"])
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(script)
    os.execvpe(BASH[0], [*BASH, path], wanted)  # noqa: S606 - signals must reach the shell itself, as on a runner
