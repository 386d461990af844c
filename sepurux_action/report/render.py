"""A report as people read it: Markdown for a comment and a job summary, plain lines for a log and a terminal."""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path

import jinja2

from sepurux_action.common import json_reader
from sepurux_action.common.wording import joined, optional
from sepurux_action.evaluation.runs import Rule
from sepurux_action.report import markdown, summary
from sepurux_action.report.head import Head, head_of, policy_remark
from sepurux_action.report.markdown import Markdown, plain
from sepurux_action.report.report import Report

SUMMARY_BYTES = 1024 * 1024 - 1  # GitHub drops a step's summary of more than 1 MiB
ROWS = (1_000, 100, 10)  # that a list has at most: the first number with which the summary fits
MAX_LINE_LENGTH = 1_000  # characters of a line in a log
MOST_ON_TERMINAL = 20  # items, where no summary follows
MOST_STEPS = 3  # blocks of steps in a log


def render_comment(report: Report, marker: str) -> str:
    """Return the comment: the marker, and the head."""
    return f"{marker}\n{_rendered('head', head=head_of(report), level=Markdown('###'))}"


def render_summary(report: Report, *, most_bytes: int = SUMMARY_BYTES) -> str:
    """Return the head and the rest as Markdown of at most `most_bytes` bytes of UTF-8, or the head alone."""
    head = {"head": head_of(report), "level": Markdown("##")}
    for most in ROWS:
        text = _rendered("summary", **head, report=report, most=most)
        if len(text.encode()) <= most_bytes:
            return text
    return _rendered("head", **head)


def _rendered(name: str, **values: object) -> str:
    """Return a template with these values. What is no Markdown of ours is escaped."""
    return re.sub(r"\n{3,}", "\n\n", _environment().get_template(f"{name}.md.j2").render(values)).rstrip() + "\n"


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
    environment.globals |= {"markdown": markdown, "summary": summary}
    return environment


def annotation(report: Report) -> str:
    """Return the message that stands out in a log: the title, what to do, and the address of the run."""
    head = head_of(report)
    return "\n".join(_paragraphs([[plain(head.title), plain(head.action), *_address(report)]]))


def log_lines(report: Report) -> list[str]:
    """Return the last lines of a log, after the annotation: what its lines do not say."""
    return [] if report.problems else _paragraphs(_text_of(report, head_of(report)))


def terminal_lines(report: Report) -> list[str]:
    """Return the result on a command line."""
    head = head_of(report, most=MOST_ON_TERMINAL)
    first = [f"{head.state.mark} {plain(head.title)}"], [plain(head.action)]
    return _paragraphs([*first, *_text_of(report, head), [f"  {each}" for each in _address(report)]])


def _text_of(report: Report, head: Head) -> Iterator[Iterable[str]]:
    """Yield the things to change, the numbers as columns, the remarks, the steps, and what goes on, as lines each."""
    yield _items(report, head)
    gates = report.gates
    rows = [(f"{gate.state.mark} {gate.name}", gate.consequence, gate.pass_rate) for gate in gates]
    if not gates[1:]:
        every = [row for gate in gates for row in gate.rows]
        rows = [(f"{row.state.mark} {row.label}", row.result, f"needs {row.needed}") for row in every]
    yield [*_columns("<<>" if gates[1:] else "<><", rows), optional("  {}", plain(head.hint))]
    if not report.problems:
        yield [f"  {plain(each)}" for each in (policy_remark(report.context), *summary.all_remarks(report)) if each]
    failures = [each for gate in report.not_passed for each in gate.items if each.steps]
    for failure in failures[:MOST_STEPS]:
        yield [joined(" of ", "  steps", failure.scenario) + ":", *(f"    {line}" for line in failure.steps)]
    yield _running(report)


def _items(report: Report, head: Head) -> Iterator[str]:
    for number, problem in enumerate(report.problems, 1):  # whose quotes matter
        yield f"  {number}. {json_reader.printable(problem.located)}"
    for number, item in enumerate(head.items if report.gates else (), 1):
        yield f"  {number}. {joined('  ', item.severity, plain(item.what))}"
        if item.where or item.file:
            yield f"     {plain(joined(' ', item.where, item.file))}"
    yield optional("  {}", report.gates and head.unlisted)


def _columns(alignment: str, rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a table; `<` or `>` is the alignment of a column."""
    cells = [[json_reader.in_columns(json_reader.printable(cell)) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        padded = (f"{cell:{side}{width}}" for cell, side, width in zip(row, alignment, widths, strict=True))
        yield f"  {'   '.join(padded)}".rstrip().replace("\0", "")


def _running(report: Report) -> Iterator[str]:
    """Yield the addresses or ids of the CI runs that a signal left."""
    for run in (run for gate in report.gates for run in gate.result.runs if run.rule is Rule.CANCELED):
        name = run.dashboard_url or run.batch_id or run.run_id
        yield f"  The run goes on at Sepurux: {name}" if name else "  A run may have been started at Sepurux."


def _address(report: Report) -> list[str]:
    """Return the address of the worst run at Sepurux, unless it is said to go on."""
    worst = next((gate for gate in report.main_gates if gate.dashboard), None)
    return [worst.dashboard] if worst and worst.result.rule is not Rule.CANCELED else []


def _paragraphs(blocks: Iterable[Iterable[str]]) -> list[str]:
    """Return the lines, of a limited length, with an empty one between two blocks that have any."""
    lines = list[str]()
    for block in blocks:
        shown = [json_reader.shorten(line.rstrip(), MAX_LINE_LENGTH) for line in block if line]
        lines += ["", *shown] if lines and shown else shown
    return lines
