"""Writes both action.yml, the schema, and the tables of the documents from the tables in code. `make generate` runs it.

A test checks that the files are up to date.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from scripts import noise, schema
from sepurux_action.config.options import BY_NAME, OPTIONS, Option, SectionKind
from sepurux_action.config.settings import flag
from sepurux_action.github.event import EVENTS, EventKind
from sepurux_action.github.permissions import REQUIRED_PERMISSIONS
from sepurux_action.report.outputs import OUTPUTS

ACTION = """\
# Written by scripts/generate.py from the table of options; `make generate` renews it.
name: {name}
description: Run a Sepurux reliability evaluation of your AI agent and block the change when it fails.
author: sepurux
branding:
  icon: shield
  color: purple

# No input but the token of GitHub has a default here: one would arrive like a given value and beat the environment.
inputs:
{inputs}
outputs:
{outputs}
runs:
{runs}"""

DOCKER = """\
  using: docker
  image: Dockerfile
  # The image's own entry point once more: runners on Kubernetes know no other.
  entrypoint: /app/venv/bin/python3
  args: [-I, -u, /app/entrypoint.py]
"""

# One line to run: on Windows the runner writes it to a file with other line ends.
COMPOSITE = """\
  using: composite
  steps:
    - id: gate
      shell: bash
      # The runner makes these variables for the Docker action itself. Texts of a workflow travel here and nowhere else.
      env:
{env}      run: . "$GITHUB_ACTION_PATH/run.sh"
"""


def docker_action() -> str:
    """Return the text of action.yml."""
    return _action("Sepurux reliability gate", DOCKER)


def composite_action() -> str:
    """Return the text of composite/action.yml: the same inputs and outputs for runners without Docker."""
    env = "".join(f"        INPUT_{name.upper()}: ${{{{ inputs.{name} }}}}\n" for name in BY_NAME)
    return _action("Sepurux reliability gate without Docker", COMPOSITE.format(env=env), "steps.gate.outputs")


def _action(name: str, runs: str, source: str = "") -> str:
    """Return an action's text. A composite action maps its outputs from the expression `source`."""
    inputs = (_input(spelling, option) for spelling, option in BY_NAME.items())
    outputs = (_output(output, text, source) for output, text in OUTPUTS.items())
    return ACTION.format(name=name, inputs="".join(inputs), outputs="".join(outputs), runs=runs)


def options_table() -> str:
    """Return README's table of inputs."""
    rows = ["| input | meaning | default |", "| --- | --- | --- |"]
    for option in OPTIONS:
        names = ", ".join(f"`{spelling}`" for spelling in option.names)
        rows.append(f"| {names} | {option.help} | {option.default_shown} |")
    return "\n".join(rows)


def places_table() -> str:
    """Return the guide's table of what each option accepts and where it may be given."""
    rows = ["| option | accepted | policy file | environment |", "| --- | --- | --- | --- |"]
    for option in OPTIONS:
        sections = ", ".join(_SECTION_NAMES[section] for section in option.allowed_in)
        environment = f"`{option.environment}`" if option.environment else ""
        rows.append(f"| `{option.name}` | {option.accepts} | {sections} | {environment} |")
    return "\n".join(rows)


def outputs_table() -> str:
    """Return README's table of outputs."""
    return "\n".join(
        ["| output | meaning |", "| --- | --- |", *(f"| `{name}` | {text} |" for name, text in OUTPUTS.items())]
    )


def flags_line() -> str:
    """Return the guide's list of flags."""
    return ", ".join(f"`{flag(option.name)}`" for option in OPTIONS if not option.actions_only)


def permissions_table() -> str:
    """Return README's table of what the gate does on GitHub, by the permission that it needs."""
    rows = ["| permission | to | needed when |", "| --- | --- | --- |"]
    rows += [
        f"| `{required.permission}` | {operation} | {required.when} |"
        for operation, required in REQUIRED_PERMISSIONS.items()
    ]
    return "\n".join(rows)


def events_table() -> str:
    """Return README's table of events; those of one kind share a row."""
    names: dict[EventKind, list[str]] = {}
    for name, kind in EVENTS.items():
        names.setdefault(kind, []).append(f"`{name}`")
    rows = ["| event | judged commit | pull request |", "| --- | --- | --- |"]
    rows += [f"| {', '.join(of_kind)} | {kind.commit} | {kind.pull_request} |" for kind, of_kind in names.items()]
    return "\n".join(rows)


BLOCKS: dict[str, Callable[[], str]] = {
    "inputs": options_table,
    "outputs": outputs_table,
    "permissions": permissions_table,
    "events": events_table,
    "flags": flags_line,
    "places": places_table,
    **noise.TABLES,
}
# The documents with blocks.
DOCUMENTS = (ROOT / "README.md", ROOT / "docs" / "configuration.md", ROOT / "docs" / "noisy-agents.md")

_SECTION_NAMES = {SectionKind.TOP: "top level", SectionKind.GATE: "gate", SectionKind.THRESHOLDS: "`thresholds:`"}


def with_blocks(text: str) -> str:
    """Return a document with new text between each pair of markers `<!-- begin NAME -->` and `<!-- end -->`."""

    def with_block(match: re.Match[str]) -> str:
        return f"{match[1]}\n{BLOCKS[match[2]]()}\n{match[3]}"

    return re.sub(r"(<!-- begin (\w+) -->)\n.*?(<!-- end -->)", with_block, text, flags=re.DOTALL)


def wanted() -> Iterable[tuple[Path, str]]:
    """Yield each generated file with its text."""
    yield ROOT / "action.yml", docker_action()
    yield ROOT / "composite" / "action.yml", composite_action()
    yield schema.PATH, schema.text()
    for document in DOCUMENTS:
        yield document, with_blocks(document.read_text(encoding="utf-8"))


def _input(spelling: str, option: Option[object]) -> str:
    if spelling != option.name:
        text = f"The same as `{option.name}`."
    else:
        default = f" Default: {option.default_shown}." if option.default_shown else ""
        text = f"{option.help} Accepted: {option.accepts}.{default}"
    given = f"    default: {option.action_default}\n" if option.action_default else ""
    return f"  {spelling}:\n    description: {json.dumps(text)}\n    required: false\n{given}"


def _output(name: str, text: str, source: str) -> str:
    value = f"    value: ${{{{ {source}.{name} }}}}\n" if source else ""
    return f"  {name}:\n    description: {json.dumps(text)}\n{value}"


if __name__ == "__main__":
    for path, text in wanted():
        path.write_text(text, encoding="utf-8")
        print(f"wrote {path.relative_to(ROOT)}")
