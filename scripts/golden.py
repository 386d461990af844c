"""Writes every state of a report, as people and programs read it, under tests/golden. `make golden` runs it.

A test compares the files with what this script would write.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from sepurux_action.report.data import json_text
from sepurux_action.report.render import annotation, log_lines, render_comment, render_summary, terminal_lines
from sepurux_action.report.report import Report, State
from tests.builders import commented, reports

GOLDEN = ROOT / "tests" / "golden"
JSON_STATES = ("fail", "fail-new", "fail-soft", "traces", "bad-settings")  # every kind of object in report.json
MARKER = "<!-- sepurux-gate:refunds -->"


def files() -> dict[str, str]:
    """Return the text of every golden file by its name."""
    summaries = {f"{state}.summary.md": render_summary(report) for state, report in reports().items()}
    comments = {f"{state}.comment.md": render_comment(report, MARKER) for state, report in commented().items()}
    texts = {f"{state}.txt": _plain(report) for state, report in reports().items()}
    return summaries | comments | texts | {f"{state}.json": _json(reports()[state]) for state in JSON_STATES}


def _json(report: Report) -> str:
    return json.dumps(json.loads(json_text(report)), indent=2, ensure_ascii=False) + "\n"


def _plain(report: Report) -> str:
    """Return the annotation, the last lines of the log, and the terminal, if they exist for such a report."""
    places = {}
    if report.gates:
        places = {"annotation": annotation(report).split("\n"), "log": log_lines(report)}
    if _without_github(report):
        places["terminal"] = terminal_lines(_on_command_line(report))
    return "\n\n".join("\n".join([f"== {name}", *lines]) for name, lines in places.items()) + "\n"


def _without_github(report: Report) -> bool:
    """Return whether a command line can have such a report: no review, no status, and no remedy on GitHub."""
    gates = report.gates
    if any(each.result.approval or each.result.recorded or "Settings >" in each.result.hint for each in gates):
        return False
    return not (len(gates) == 1 and gates[0].state is State.SKIPPED)


def _on_command_line(report: Report) -> Report:
    context = replace(report.context, pull_request=None, pull_request_url="", run_url="", on_command_line=True)
    return replace(report, context=context, gates=tuple(replace(gate, context=context) for gate in report.gates))


def main() -> None:
    """Write the files, and remove those of states that no longer exist."""
    GOLDEN.mkdir(exist_ok=True)
    wanted = files()
    for path in GOLDEN.iterdir():
        if path.name not in wanted:
            path.unlink()
    for name, text in wanted.items():
        (GOLDEN / name).write_text(text, encoding="utf-8", newline="\n")
    print(f"{len(wanted)} files in {GOLDEN.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
