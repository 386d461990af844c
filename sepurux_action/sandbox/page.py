"""Owns the plain page behind a `dashboard_url`; never sends a value that is not escaped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape

from sepurux_action.sandbox.wire import Answer

DISCLAIMER = "This sandbox replays nothing and mutates nothing; it is no substitute for the product."
"""What every user must have read before believing a decision."""


def page(title: str, facts: Mapping[str, object], remarks: Iterable[str]) -> Answer:
    """Return a page with a table of facts (None is a dash) and a list of remarks."""
    rows = "".join(
        f"<tr><th>{_text(name)}</th><td>{'-' if value is None else _text(value)}</td></tr>"
        for name, value in facts.items()
    )
    items = "".join(f"<li>{_text(remark)}</li>" for remark in remarks)
    html = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{_text(title)}</title>'
        f"<h1>{_text(title)}</h1><p>{_text(DISCLAIMER)}</p><table>{rows}</table><ul>{items}</ul></html>"
    )
    return Answer(
        status=200,
        # A lone surrogate is valid in JSON and has no UTF-8.
        body=html.encode(errors="replace"),
        content_type="text/html; charset=utf-8",
        headers={"Content-Security-Policy": "default-src 'none'"},
    )


def _text(value: object) -> str:
    return escape(str(value))
