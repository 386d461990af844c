"""Writes a report: as Markdown for a comment or a job summary, or as plain lines for a log or a terminal."""

from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import jinja2

from sepurux_action.common import json_reader, wording
from sepurux_action.common.wording import joined
from sepurux_action.evaluation.runs import Rule
from sepurux_action.report import markdown, tables
from sepurux_action.report.head import Head, head_of, policy_remark
from sepurux_action.report.items import base_of
from sepurux_action.report.markdown import Markdown, finish, plain
from sepurux_action.report.report import Report

SUMMARY_BYTES = 1024 * 1024 - 1  # GitHub drops a step's summary of more than 1 MiB
MAX_LINE_LENGTH = 1_000  # characters of a line in a log
MOST_ON_TERMINAL = 20  # items, where no summary follows
MOST_STEPS = 3  # blocks of steps in a log

# How many gates have a section, how many failures and scenarios it has, and how many notes there are; then less.
LIMITS = (
    {"gates": 26, "failures": 1_000, "scenarios": 300, "notes": 100},
    {"gates": 26, "failures": 100, "scenarios": 50, "notes": 20},
    {"gates": 26, "failures": 10, "scenarios": 10, "notes": 10},
    {"gates": 0, "failures": 0, "scenarios": 0, "notes": 0},
)


def render_comment(report: Report, marker: str) -> str:
    """Return the comment: the marker, and the head."""
    return f"{marker}\n{_rendered_head(head_of(report), '###')}"


def render_summary(report: Report, *, most_bytes: int = SUMMARY_BYTES) -> str:
    """Return the head and the rest as Markdown of at most `most_bytes` bytes of UTF-8, or the head alone."""
    slots, count = head_of(report), max(1, len(report.not_passed))
    head = _rendered_head(slots, "##")
    for most in LIMITS:
        of_gate = {name: most[name] // count for name in ("failures", "scenarios")}
        values = {"report": report, "most": {**most, **of_gate}, "remark": slots.remark}
        text = finish(f"{head}\n{_rendered('summary.md.j2', **values)}")
        if len(text.encode()) <= most_bytes:
            return text
    return head


def _rendered_head(head: Head, level: str) -> str:
    return finish(f"{level} {_rendered('head.md.j2', head=head)}")


def _rendered(name: str, **values: object) -> str:
    return _environment().get_template(name).render(**values)


def annotation(report: Report) -> str:
    """Return the message that stands out in a log: the title, what to do, and the address of the run."""
    head = head_of(report)
    return "\n".join(filter(None, map(_shortened, [plain(head.title), plain(head.action), *_addresses(report)])))


def log_lines(report: Report) -> list[str]:
    """Return the last lines of a log, after the annotation: what its two lines do not say."""
    return [] if report.problems else _joined(_text_of(report, head_of(report)))


def terminal_lines(report: Report) -> list[str]:
    """Return the result on a command line."""
    head = head_of(report, most=MOST_ON_TERMINAL)
    first = [f"{head.state.mark} {plain(head.title)}", "", plain(head.action)]
    return _joined([*first, "", *_text_of(report, head), "", *(f"  {each}" for each in _addresses(report))])


def _text_of(report: Report, head: Head) -> Iterator[str]:
    """Yield the things to change, the numbers as columns, the remark, and the steps, as plain text."""
    gates = report.gates
    for number, problem in enumerate(report.problems, 1):  # whose quotes matter
        yield f"  {number}. {json_reader.printable(problem.located)}"
    for number, item in enumerate(head.items if gates else (), 1):
        severity = f"{item.severity}  " if item.severity else ""
        yield f"  {number}. {severity}{plain(item.what)}"
        if item.where or item.file:
            yield f"     {plain(joined(' ', item.where, item.file))}"
    if head.unlisted:
        yield f"  {head.unlisted}"
    yield ""
    if gates[1:]:
        yield from tables.gate_lines(gates)
    for gate in gates:
        if gate.rows and not gates[1:]:
            yield from tables.number_lines(gate)
    yield from [f"  {plain(head.hint)}"] if head.hint else []
    yield ""
    if not report.problems:
        every = (policy_remark(report.context), *tables.all_remarks(report))
        yield from (f"  {plain(each)}" for each in every if each)
    yield from _steps(report)
    yield from _running(report)


def _steps(report: Report) -> Iterator[str]:
    """Yield the steps of the first failures that differ from the base, or of which the failed one is known."""
    failures = [each for gate in report.not_passed for each in gate.counted if each.steps]
    for failure in failures[:MOST_STEPS]:
        yield ""
        yield f"  steps of {failure.scenario}:" if failure.scenario else "  steps:"
        yield from (f"    {line}" for line in failure.steps)


def _running(report: Report) -> Iterator[str]:
    """Yield the addresses or ids of the CI runs that a signal left."""
    for run in (run for gate in report.gates for run in gate.result.runs if run.rule is Rule.CANCELED):
        name = run.dashboard_url or run.batch_id or run.run_id
        yield f"  The run goes on at Sepurux: {name}" if name else "  A run may have been started at Sepurux."


def _addresses(report: Report) -> list[str]:
    """Return the address of the worst run at Sepurux, unless it is said to go on."""
    worst = next((gate for gate in report.main_gates if gate.dashboard), None)
    return [worst.dashboard] if worst and worst.result.rule is not Rule.CANCELED else []


def _shortened(line: str) -> str:
    return json_reader.shorten(line.rstrip(), MAX_LINE_LENGTH)


def _joined(lines: Iterable[str]) -> list[str]:
    """Return lines of a limited length with at most one empty line between two others."""
    every = list(map(_shortened, lines))
    kept = [line for line, before in zip(every, ["", *every], strict=False) if line or before]
    return kept if kept[-1:] != [""] else kept[:-1]


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).resolve().parent / "templates"),
        autoescape=False,  # noqa: S701 - `finalize` escapes for Markdown
        finalize=markdown.as_markdown,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"plural": wording.pluralize, "written": Markdown, "code": markdown.code}
    environment.globals |= {"tables": tables, "markdown": markdown, "base_of": base_of}
    return environment
