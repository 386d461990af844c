"""Writes action.yml (both), the JSON schemas, and the documents' tables from the tables in code, for `make generate`.

Tests check that the files are up to date. scripts/noise.py writes what it simulates.
"""

import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from scripts import record_schema, schema, trace_schema
from sepurux_action.config.command_line import in_workflow
from sepurux_action.config.options import GITHUB_TOKEN, INPUTS, LIMITS, OPTIONS, Option, SectionKind
from sepurux_action.evaluation.metrics import BY_OPTION
from sepurux_action.github.client import Operation
from sepurux_action.report.data import OUTPUTS

ACTION = """\
# Written by scripts/generate.py from the table of options. Run `make generate` to update it.
name: {name}
description: Runs a Sepurux reliability evaluation of your AI agent and blocks the change if the evaluation fails.
author: sepurux
branding:
  icon: shield
  color: purple

# Only `github_token` has a default here. A default arrives like a value that the workflow gives.
inputs:
{inputs}
outputs:
{outputs}
runs:
{runs}"""

DOCKER = """\
  using: docker
  image: Dockerfile
  # The same entry point as in the image, because runners on Kubernetes do not read that one.
  entrypoint: /app/venv/bin/python3
  args: [-I, -u, /app/entrypoint.py]
"""

COMPOSITE = """\
  using: composite
  steps:
    - id: gate
      shell: bash
      # All inputs as the workflow gives them, misspelled ones too. They reach the gate by this variable alone.
      env:
        GATE_INPUTS: ${{ toJSON(inputs) }}
      run: . "$GITHUB_ACTION_PATH/run.sh"
"""


def docker_action() -> str:
    """Return the text of action.yml."""
    return _action("Sepurux reliability gate", DOCKER)


def composite_action() -> str:
    """Return the text of composite/action.yml: the same inputs and outputs for runners without Docker."""
    return _action("Sepurux reliability gate without Docker", COMPOSITE, "steps.gate.outputs")


def _action(name: str, runs: str, source: str = "") -> str:
    """Return an action's text. A composite action maps its outputs from the expression `source`."""
    inputs = (_input(spelling, option) for option in INPUTS for spelling in option.names)
    outputs = (_output(output, text, source) for output, text in OUTPUTS.items())
    return ACTION.format(name=name, inputs="".join(inputs), outputs="".join(outputs), runs=runs)


def settings_table() -> str:
    """Return the table of all settings: what each means, its default, and where it may be given."""
    rows = ["| setting | meaning | place |", "| --- | --- | --- |"]
    for option in OPTIONS:
        places = ["input"] if option.is_input else []
        places += [_SECTION_NAMES[section] for section in option.allowed_in]
        words = [f"Words: {option.accepts}."] if option.accepts.startswith("`") else []
        default = [f"Default: {option.default_shown}."] if option.default or option.default_note else []
        cells = f"`{option.name}`", " ".join((option.help, *words, *default)), ", ".join(places)
        rows.append(in_workflow(f"| {' | '.join(cells)} |"))
    return "\n".join(rows)


def outputs_table() -> str:
    """Return the table of all outputs."""
    return "\n".join(
        ["| output | meaning |", "| --- | --- |", *(f"| `{name}` | {text} |" for name, text in OUTPUTS.items())]
    )


def permissions_table() -> str:
    """Return the table of what the gate does on GitHub, by the permission that it needs."""
    permissions = sorted({each.permission for each in Operation})
    used = {name: "; ".join(each.text for each in Operation if each.permission == name) for name in permissions}
    return "\n".join(
        ["| permission | to |", "| --- | --- |", *(f"| `{name}` | {text} |" for name, text in used.items())]
    )


BLOCKS: Mapping[str, Callable[[], str]] = {
    "settings": settings_table,
    "outputs": outputs_table,
    "permissions": permissions_table,
    "fields": trace_schema.table,
}
DOCUMENTS = tuple(ROOT / "docs" / f"{name}.md" for name in ("record", "reference"))  # those with blocks

_SECTION_NAMES = {SectionKind.TOP: "top", SectionKind.GATE: "gate", SectionKind.THRESHOLDS: "`thresholds:`"}


def with_blocks(text: str, blocks: Mapping[str, Callable[[], str]] = BLOCKS) -> str:
    """Return a document with new text between each pair of markers `<!-- begin NAME -->` and `<!-- end -->`."""

    def with_block(match: re.Match[str]) -> str:
        if match[2] not in blocks:
            raise schema.MissingError(f"`BLOCKS` in scripts/generate.py has no entry `{match[2]}`")
        return f"{match[1]}\n{blocks[match[2]]()}\n{match[3]}"

    return re.sub(r"(<!-- begin (\w+) -->)\n.*?(<!-- end -->)", with_block, text, flags=re.DOTALL)


def wanted() -> Iterable[tuple[Path, str]]:
    """Yield each generated file with its text; raises MissingError if an edit is missing."""
    for option in LIMITS:
        if option.name not in BY_OPTION:
            raise schema.MissingError(f"No row in sepurux_action/evaluation/metrics.py names the limit `{option.name}`")
    yield ROOT / "action.yml", docker_action()
    yield ROOT / "composite" / "action.yml", composite_action()
    yield schema.PATH, schema.text()
    yield from record_schema.files()
    yield trace_schema.PATH, trace_schema.text()
    for document in DOCUMENTS:
        yield document, with_blocks(document.read_text(encoding="utf-8"))


def _input(spelling: str, option: Option[object]) -> str:
    if spelling != option.name:
        text = f"The same as `{option.name}`."
    else:
        default = f" Default: {option.default_shown}." if option.default_shown else ""
        text = in_workflow(f"{option.help} Accepted: {option.accepts}.{default}")
    given = "    default: ${{ github.token }}\n" if option is GITHUB_TOKEN else ""
    if spelling != option.name:
        given = f"    deprecationMessage: {json.dumps(f'Use `{option.name}`.')}\n"
    return f"  {spelling}:\n    description: {json.dumps(text)}\n    required: false\n{given}"


def _output(name: str, text: str, source: str) -> str:
    value = f"    value: ${{{{ {source}.{name} }}}}\n" if source else ""
    return f"  {name}:\n    description: {json.dumps(text)}\n{value}"


def write(files: Iterable[tuple[Path, str]]) -> None:
    """Write every file, or none if an edit is missing."""
    try:
        files = list(files)
    except schema.MissingError as missing:
        sys.exit(f"{missing}. No file was written.")
    for path, text in files:
        path.write_text(text, encoding="utf-8")
        print(f"wrote {path.relative_to(ROOT)}")


if __name__ == "__main__":
    write(wanted())
