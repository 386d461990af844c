"""Renders a report as Markdown within the size limits of GitHub."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import jinja2

from sepurux_action.report.markdown import Markdown, text
from sepurux_action.report.report import Report
from sepurux_action.report.size_limits import for_comment, for_summary, shrink

TEMPLATES = Path(__file__).resolve().parent / "templates"
SUMMARY_BYTES = 1024 * 1024 - 1  # GitHub drops a step's summary of more than 1 MiB
COMMENT_CHARACTERS = 65_000  # GitHub accepts 65,536
HEADLINE_CHARACTERS = 1_000


def render_summary(report: Report, *, most_bytes: int = SUMMARY_BYTES, templates: Path = TEMPLATES) -> str:
    """Return the report as Markdown of at most `most_bytes` bytes of UTF-8, shortened as `shrink` does.

    If the templates cannot be used, only the headline remains.
    """
    return _rendered(for_summary(report), templates, "summary.md.j2", lambda text: len(text.encode()) <= most_bytes)


def render_comment(report: Report, marker: str, *, templates: Path = TEMPLATES) -> str:
    """Return the body of a comment of at most 65,000 characters: the marker, then the report.

    It has no line break at its end and contains no time, so that equal reports have equal bodies.
    """
    room = COMMENT_CHARACTERS - len(marker) - len("\n\n")
    rendered = _rendered(for_comment(report), templates, "comment.md.j2", lambda text: len(text) <= room)
    return f"{marker}\n\n{rendered}".rstrip("\n")


def _rendered(report: Report, templates: Path, name: str, fits: Callable[[str], bool]) -> str:
    try:
        template = _environment(templates).get_template(name)
        for smaller in shrink(report):
            rendered = template.render(report=smaller)
            if fits(rendered):
                return rendered
    except (jinja2.TemplateError, OSError, UnicodeDecodeError):
        pass  # a broken template must not hide the result
    return f"{text(report.headline, longest=HEADLINE_CHARACTERS)}\n"


@cache
def _environment(templates: Path) -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(templates),
        autoescape=False,  # noqa: S701 - it escapes only for HTML; `finalize` escapes every value for Markdown
        finalize=_escape,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _escape(value: object) -> str:
    """Return a `Markdown` value as it is, and any other value as escaped text."""
    return value if isinstance(value, Markdown) else text(str(value))
