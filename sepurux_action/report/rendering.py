"""Renders a report with the templates, as Markdown within the size limits of GitHub and as lines of a log."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Sequence
from functools import cache, partial
from itertools import takewhile
from pathlib import Path

import jinja2

from sepurux_action.common import json_reader, number_format
from sepurux_action.config.command_line import in_workflow, on_command_line
from sepurux_action.config.policy import Change
from sepurux_action.evaluation.drops import MIN_RESULTS, base_heading
from sepurux_action.evaluation.metrics import BY_OPTION, LISTED, NOT_KNOWN, PASS_RATE, RATE
from sepurux_action.report import markdown, view
from sepurux_action.report.brief import brief_json
from sepurux_action.report.markdown import MAX_SENTENCE_LENGTH, Markdown, code, finish
from sepurux_action.report.report import SHORT_SHA, Context, GateFacts, Report, State, ThresholdFacts

TEMPLATES = Path(__file__).resolve().parent / "templates"

MAX_VALUE_LENGTH = 120  # characters of a changed value of the policy
KEPT_BEFORE = 20  # characters of two long values that are the same, before what differs
MAX_LINE_LENGTH = 1_000  # characters of a line in a log
SETTINGS_PAGES = {  # of a repository, as sentences name them
    "Settings > Secrets and variables > Actions": "/settings/secrets/actions",
    "Settings > Secrets and variables > Dependabot": "/settings/secrets/dependabot",
    "Settings > Rules > Rulesets": "/settings/rules",
}
MIN_CHART_POINTS = 3  # two numbers are clearer in a table
CHART_STEP = 5  # percentage points; the axis starts and ends at a multiple
CHART = {
    "xyChart": {"height": 250},  # pixels; Mermaid's default fills a screen
    # readable on white and on black
    "themeVariables": {"xyChart": {"plotColorPalette": "#2f81f7, #bf8700", "backgroundColor": "transparent"}},
}


def render_summary(report: Report, *, most_bytes: int = view.SUMMARY_BYTES) -> str:
    """Return the report as Markdown of at most `most_bytes` bytes of UTF-8; one line if no template can be used."""
    return _rendered(report, "summary", view.SUMMARY_LIMITS, lambda text: len(text.encode()), most_bytes)


def render_comment(report: Report, marker: str, state: str = "") -> str:
    """Return the comment, at most 65,000 characters: the marker, the report, and the line with the state."""
    most = view.COMMENT_CHARACTERS - view.NOTICE_CHARACTERS - len(f"{marker}\n{state}")
    short = len(report.gates) > view.MANY_GATES >= len(report.acting)
    rooms = (min(most, view.MANY_GATES_CHARACTERS), most) if short else (most,)
    rendered = _rendered(report, "comment", view.COMMENT_LIMITS, len, *rooms)
    return f"{marker}\n{rendered}{state}"


def render_notice(context: Context, commit: str, *, why: str = "") -> str:
    """Return the line above a report on another commit: the evaluation goes on, or `why` there was none."""
    here, shown = code(context.commit[:SHORT_SHA]), code(commit[:SHORT_SHA])
    here, page = markdown.link(here, context.commit_url), partial(markdown.link, url=context.run_url)
    missing = f"❗ Commit {here} was not evaluated: {markdown.prose(why)} ({page('job summary')})"
    what = missing if why else f"⏳ Evaluating {here} ({page('workflow run')})"
    return f"{what}. The result below is that of {shown}."


def render_lines(report: Report, name: str) -> list[str]:
    """Return the printable lines of a text template, such as `log`, with an empty line between its paragraphs."""
    try:
        rendered = _render(view.View(report=report, place=name, limits=view.COMMENT_LIMITS), f"{name}.txt.j2")
    except (jinja2.TemplateError, OSError, UnicodeDecodeError):
        rendered = _last_resort(report)
    lines = [json_reader.shorten(line.rstrip(), MAX_LINE_LENGTH) for line in rendered.strip("\n").splitlines()]
    parted = name != "annotation"
    return [line for line, before in zip(lines, ["", *lines], strict=False) if line or (before and parted)]


def _rendered(report: Report, place: str, fullest: view.Limits, size: Callable[[str], int], *rooms: int) -> str:
    """Return the fullest version that fits into the first room, or else into the next one."""
    brief = cache(partial(brief_json, report))  # several steps have the same one

    def render(limits: view.Limits) -> str:
        written = brief(limits["brief"]) if limits["brief"] else ""
        fenced = markdown.fence(written, "json") if written else ""
        return finish(_render(view.View(report=report, place=place, limits=limits, brief=fenced), f"{place}.md.j2"))

    try:
        texts = (text for room in rooms for text in map(render, view.shorter(fullest)) if size(text) <= room)
        if fullest_text := next(texts, ""):
            return fullest_text
    except (jinja2.TemplateError, OSError, UnicodeDecodeError):
        pass  # a broken template must not hide the result
    return finish(markdown.escaped(_last_resort(report), longest=MAX_LINE_LENGTH))


def _last_resort(report: Report) -> str:
    if report.problems:
        return f"Blocked: {report.problems[0]}"
    worst, blocking = report.gates[0], f"{len(report.acting)} of {number_format.pluralize(len(report.gates), 'gate')}"
    what = f"{worst.name}: {worst.decision}, {'blocked' if worst.blocks else 'not blocking'}. {worst.reason}"
    return what if len(report.gates) == 1 else f"{blocking} block. {what}"


def _render(shown: view.View, name: str) -> str:
    template = _environment(TEMPLATES, as_markdown=name.endswith(".md.j2")).get_template(name)
    return template.render(view=shown, report=shown.report, place=shown.place)


class _Environment(jinja2.Environment):
    """What a macro or a `set` block returns has been escaped already."""

    concat = staticmethod(lambda parts: Markdown("".join(parts)))


@cache
def _environment(templates: Path, *, as_markdown: bool) -> jinja2.Environment:
    environment = _Environment(
        loader=jinja2.FileSystemLoader(templates),
        autoescape=False,
        finalize=_escape if as_markdown else _plain,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= _NUMBERS | (_MARKDOWN if as_markdown else _TEXT)
    environment.globals |= {
        "markdown": as_markdown,
        "bold": Markdown("**" if as_markdown else ""),
        "indent": Markdown("  "),
        "nbsp": Markdown("\u00a0"),
        "history_headings": [metric.heading for metric in LISTED],
        "min_results": MIN_RESULTS,
        "docs": Markdown("https://github.com/sepurux/gate-action/blob/main/docs/"),
    }
    return environment


def _escape(value: object) -> Markdown:
    return value if isinstance(value, Markdown) else markdown.escaped(str(value))


def _plain(value: object) -> str:
    return value if isinstance(value, Markdown) else json_reader.printable(str(value))


# -- filters: how a template writes a value ---------------------------------------------------------------------------


def _alert(content: str, kind: str) -> Markdown:
    """Return paragraphs, one per line, as an alert; '' without any."""
    lines = [" ".join(line.split()) for line in content.split("\n") if line.strip()]
    return Markdown(f"> [!{kind}]\n> " + "\n>\n> ".join(lines) + "\n" if lines else "")


def _enumerated(write: Callable[[str], str], names: Sequence[str], word: str) -> Markdown:
    written = [write(name) for name in names]
    return Markdown(f" {word} ".join(filter(None, [", ".join(written[:-1]), *written[-1:]])))


def _names(write: Callable[[str], str], names: Iterable[str], most: int) -> Markdown:
    names = tuple(names)
    more = len(names) - most
    return Markdown(", ".join(map(write, names[:most])) + (f", and {more} more" if more > 0 else ""))


def _base(branch: str) -> Markdown:
    heading = base_heading(branch)
    return code(branch) if heading == branch else Markdown(heading)


@jinja2.pass_context
def _worded(context: jinja2.runtime.Context, text: str) -> str:
    if context["place"] == "terminal" or context["report"].context.on_command_line:
        return on_command_line(json_reader.printable(text))
    return in_workflow(text)


@jinja2.pass_context
def _prose(
    context: jinja2.runtime.Context, text: str, *, longest: int = MAX_SENTENCE_LENGTH, gate: GateFacts | None = None
) -> Markdown:
    """Return a sentence of this program, with links to the pages that it names: settings, and the run of the gate."""
    urls = {title: context["report"].context.page(path) for title, path in SETTINGS_PAGES.items()}
    pages = {title: markdown.link(Markdown(title), url) for title, url in urls.items() if url}
    if gate and gate.dashboard:
        pages["Sepurux run"] = _run(gate)
    return markdown.prose(text, longest=longest, pages=pages)


def _run(gate: GateFacts) -> Markdown:
    """Return the link to a gate's run in Sepurux, with the name of a host that is not that of `base_url`."""
    host, url = (gate.dashboard.host, gate.dashboard.url) if gate.dashboard else ("", "")
    return markdown.link(f"Sepurux run on {host}" if host else "Sepurux run", url)


def _value(text: str, setting: str) -> Markdown:
    try:
        number = float(text)
    except ValueError:
        return markdown.value(text, longest=MAX_VALUE_LENGTH)
    metric = BY_OPTION.get(setting)
    return Markdown(metric.format.write(number, None)) if metric and metric.format is RATE else markdown.escaped(text)


def _shortened(change: Change) -> tuple[str, str]:
    """Return both values, shortened at their common beginning so that the difference stays visible."""
    old, new = change.old, change.new
    same = takewhile(lambda pair: pair[0] == pair[1], zip(old, new, strict=False))
    start = sum(1 for _ in same) - KEPT_BEFORE
    if start <= 0 or max(len(old), len(new)) <= MAX_VALUE_LENGTH:
        return old, new
    return f"…{old[start:]}", f"…{new[start:]}"


def _chart(gate: GateFacts) -> Markdown:
    """Return the pass rates and the required rate as two lines (https://mermaid.js.org/syntax/xyChart.html), or ''."""
    commits = [row for row in reversed(gate.history) if not row.base]
    points = [(row.commit[:SHORT_SHA], row.pass_rate * 100) for row in commits if row.pass_rate is not None]
    if len(points) < MIN_CHART_POINTS:
        return Markdown("")
    needed = gate.gate.limits.get(PASS_RATE.threshold)
    values = [value for _, value in points] + ([] if needed is None else [needed * 100])
    low = max(0, math.floor(min(values) / CHART_STEP) * CHART_STEP - CHART_STEP)
    high = min(100, math.ceil(max(values) / CHART_STEP) * CHART_STEP + CHART_STEP)
    labels = ", ".join(f'"{n} {re.sub("[^A-Za-z0-9]", "", label)}"' for n, (label, _) in enumerate(points, 1))
    lines = [
        f"%%{{init: {json.dumps(CHART)}}}%%",
        "xychart-beta",
        f"    x-axis [{labels}]",
        f'    y-axis "passed, %" {low} --> {high}',
        f"    line [{', '.join(f'{value:.2f}' for _, value in points)}]",
    ]
    if needed is not None:
        lines.append(f"    line [{', '.join([f'{needed * 100:.2f}'] * len(points))}]")
    return markdown.fence("\n".join(lines), "mermaid")


def _overview(gates: Sequence[GateFacts]) -> list[Markdown]:
    """Return a line for each gate: its result, what follows from it, and its pass rate."""
    rows = (
        (f"{gate.state.mark} {gate.name}", gate.state.ending, gate.follows, gate.pass_rate or NOT_KNOWN)
        for gate in gates
    )
    return _columns(rows, "<<<>")


def _aligned(rows: Sequence[ThresholdFacts], base_ref: str) -> list[Markdown]:
    """Return a line for each threshold: the result, and what it needs or what the base has."""
    cells = []
    for row in rows:
        needs = f"needs {row.check.required}" if row.check.threshold else f"{base_heading(base_ref)}: {row.base_cell}"
        needs = f"lacks {', '.join(row.check.lacking)}" if row.check.lacking else needs
        effect = "does not block" if row.state is State.NOT_BLOCKING else ""
        what = "; ".join(filter(None, (needs, row.check.remark, effect)))
        cells.append((f"{row.state.mark} {row.check.label}", row.check.actual, what))
    return _columns(cells, "<><")


def _columns(rows: Iterable[Sequence[str]], alignment: str) -> list[Markdown]:
    cells = [[json_reader.in_columns(json_reader.printable(cell)) for cell in row] for row in rows]
    columns = [*zip(alignment, (max(map(len, column)) for column in zip(*cells, strict=True)), strict=False)]
    padded = ([f"{cell:{side}{width}}" for cell, (side, width) in zip(row, columns, strict=True)] for row in cells)
    return [Markdown(f"  {'   '.join(row)}".replace("\0", "")) for row in padded]


_NUMBERS: dict[str, Callable[..., object]] = {
    "or_dash": lambda text: text or NOT_KNOWN,
    "plural": number_format.pluralize,
    "sha": lambda commit: commit[:SHORT_SHA],
    "whole": number_format.count,
    "duration": number_format.duration,
    "percent": number_format.percent,
    "worded": _worded,
    "unescaped": Markdown,
}
_MARKDOWN: dict[str, Callable[..., object]] = {
    "alert": _alert,
    "base": _base,
    "chart": _chart,
    "code": code,
    "code_block": markdown.code_block,
    "html_code": markdown.html_code,
    "link": markdown.link,
    "listed": partial(_enumerated, code),
    "names": partial(_names, code),
    "new_value": lambda change: _value(_shortened(change)[1], change.setting),
    "old_value": lambda change: _value(_shortened(change)[0], change.setting),
    "prose": _prose,
    "run": _run,
    "steps_block": markdown.steps_block,
    "strong": markdown.strong,
    "text": markdown.escaped,
}
_TEXT: dict[str, Callable[..., object]] = {
    "aligned": _aligned,
    "overview": _overview,
    "base": base_heading,
    "run": lambda _: Markdown("Sepurux run"),
    **dict.fromkeys(("code", "prose", "strong", "text"), lambda value, **_: value),
    "listed": partial(_enumerated, json_reader.printable),
    "ljust": lambda text, width: Markdown(json_reader.printable(text).ljust(width)),
    "rjust": lambda text, width: Markdown(json_reader.printable(text).rjust(width)),
    "names": partial(_names, json_reader.printable),
}
