"""Renders a report with the templates, as Markdown within the size limits of GitHub and as lines of a log."""

from collections.abc import Callable
from functools import cache
from itertools import groupby, takewhile
from pathlib import Path

import jinja2

from sepurux_action.common import json_reader, wording
from sepurux_action.config.settings import Change
from sepurux_action.evaluation import metrics, published_result
from sepurux_action.report import markdown, next_steps, sentences, tables, view
from sepurux_action.report.markdown import Markdown, code, finish
from sepurux_action.report.report import SHORT_SHA, Report, groups, page_of, state_of
from sepurux_action.report.view import DOCS, View, plain

TEMPLATES = Path(__file__).resolve().parent / "templates"

MAX_VALUE_LENGTH = 120  # characters of a changed value of the policy
KEPT_BEFORE = 20  # characters of two long values that are the same, before what differs
MAX_LINE_LENGTH = 1_000  # characters of a line in a log


def render_summary(report: Report, *, most_bytes: int = view.SUMMARY_BYTES) -> str:
    """Return the report as Markdown of at most `most_bytes` bytes of UTF-8; one line if no template can be used."""
    return _rendered(report, "summary", view.SUMMARY_LIMITS, lambda text: len(text.encode()), most_bytes)


def render_comment(report: Report, marker: str) -> str:
    """Return the comment, at most 65,000 characters: the marker and the report."""
    rooms = [view.COMMENT_CHARACTERS - len(f"{marker}\n")]
    if len(report.gates) > view.MANY_GATES >= len(report.blocking):
        rooms.insert(0, view.MANY_GATES_CHARACTERS)
    rendered = _rendered(report, "comment", view.COMMENT_LIMITS, len, *rooms)
    return f"{marker}\n{rendered}"


def render_lines(report: Report, name: str) -> list[str]:
    """Return the printable lines of a text template, such as `log`, with an empty line between its paragraphs."""
    rendered = _render(View(report=report, place=name, limits=view.COMMENT_LIMITS), f"{name}.txt.j2")
    lines = [json_reader.shorten(line.rstrip(), MAX_LINE_LENGTH) for line in rendered.strip("\n").splitlines()]
    parted = name != "annotation"
    return [line for line, before in zip(lines, ["", *lines], strict=False) if line or (before and parted)]


def _rendered(report: Report, place: str, fullest: view.Limits, size: Callable[[str], int], *rooms: int) -> str:
    """Return the fullest version that fits into the first room, or else into the next one."""
    lower = ({name: min(most, version[name]) for name, most in fullest.items()} for version in view.SHORTER_LIMITS)
    versions = [limits for limits, _ in groupby([fullest, *lower])]
    for room in rooms:
        for limits in versions:
            text = finish(_render(View(report=report, place=place, limits=limits), "report.md.j2"))
            if size(text) <= room:
                return text
    return finish(markdown.escaped(_one_line(report), longest=MAX_LINE_LENGTH))


def _one_line(report: Report) -> str:
    if report.problems:
        return f"Blocked: {report.problems[0]}"
    worst, every = report.gates[0], len(report.gates)
    effect = "blocked" if worst.result.blocks else "not blocking"
    what = f"{worst.name}: {worst.result.decision}, {effect}. {worst.result.reason}"
    return f"{len(report.blocking)} of {every} gates block. {what}" if every > 1 else what


def _render(say: View, name: str) -> str:
    """Return what a template renders; of one that cannot be used one line, because it must not hide the result."""
    count = len(say.report.gates)
    try:
        template = _environment(TEMPLATES, as_markdown=say.as_markdown).get_template(name)
        return template.render(
            report=say.report, place=say.place, say=say, several=count > 1, many=count > view.MANY_GATES
        )
    except (jinja2.TemplateError, OSError, UnicodeDecodeError):
        line = _one_line(say.report)
        return markdown.escaped(line, longest=MAX_LINE_LENGTH) if say.as_markdown else line


class _Environment(jinja2.Environment):
    concat = staticmethod(lambda parts: Markdown("".join(parts)))  # of a macro or a `set` block, which has escaped them


@cache
def _environment(templates: Path, *, as_markdown: bool) -> jinja2.Environment:
    environment = _Environment(
        loader=jinja2.FileSystemLoader(templates),
        autoescape=False,
        finalize=markdown.as_markdown if as_markdown else plain,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= _FILTERS
    environment.globals |= {
        "metrics": metrics,
        "next_steps": next_steps,
        "published_result": published_result,
        "sentences": sentences,
        "indent": Markdown("  "),
        "nbsp": Markdown(markdown.NBSP),
        "tables": tables,
        "docs": Markdown(DOCS),
    }
    return environment


def _values(change: Change) -> list[Markdown]:
    """Return both values of a setting, shortened at their common beginning so that the difference stays visible."""
    old, new, metric, written = change.old, change.new, metrics.BY_OPTION.get(change.setting), []
    same = takewhile(lambda pair: pair[0] == pair[1], zip(old, new, strict=False))
    start = len(list(same)) - KEPT_BEFORE
    if start > 0 and max(len(old), len(new)) > MAX_VALUE_LENGTH:
        old, new = f"…{old[start:]}", f"…{new[start:]}"
    for text in (old, new):
        try:
            number = float(text)
        except ValueError:
            written.append(markdown.value(text, longest=MAX_VALUE_LENGTH))
        else:
            of_percent = metric if metric and metric.unit is metrics.Unit.FRACTION else None
            written.append(Markdown(of_percent.write(number, None)) if of_percent else markdown.escaped(text))
    return written


_FILTERS: dict[str, Callable[..., object]] = {
    "plural": wording.pluralize,
    "sha": lambda commit: commit[:SHORT_SHA],
    "whole": wording.count,
    "duration": wording.duration,
    "percent": wording.percent,
    "unescaped": Markdown,
    "state": state_of,
    "page": page_of,
    "code": code,
    "code_block": markdown.code_block,
    "html_code": markdown.html_code,
    "link": markdown.link,
    "steps_block": markdown.steps_block,
    "strong": markdown.strong,
    "text": markdown.escaped,
    "values": _values,
    "groups": groups,
    "short": lambda text, most: json_reader.shorten(json_reader.printable(text), most),
    "ljust": lambda text, width: Markdown(json_reader.printable(text).ljust(width)),
}
