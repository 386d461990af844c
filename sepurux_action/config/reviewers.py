"""Parses the `reviewers` option."""

from __future__ import annotations

import re

from sepurux_action.common import json_reader

BOT_SUFFIX = "[bot]"
MAX_REVIEWERS = 100  # of one list; each may cost a request

# Managed users carry their enterprise's short code behind an underscore.
_LOGIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})(?:_[A-Za-z0-9]{1,20})?", re.ASCII)


def parse_logins(text: str) -> tuple[str, ...]:
    """Return the logins of a text, by comma or line, each once; raises ValueError with a hint."""
    logins: dict[str, str] = {}
    for part in filter(None, map(str.strip, re.split(r"[,\n]", text))):
        login = part.removeprefix("@")
        if "/" in login:
            raise ValueError(
                f"{json_reader.quoted(part)} is a team, whose members the job's token cannot read: list logins"
            )
        if login.lower().endswith(BOT_SUFFIX):
            raise ValueError(f"{json_reader.quoted(part)} is a bot, and a bot opens no gate")
        if not _LOGIN.fullmatch(login):
            raise ValueError(f"{json_reader.quoted(part)} is no login")
        logins.setdefault(login.lower(), login)
    if not logins:
        raise ValueError("it names nobody")
    if len(logins) > MAX_REVIEWERS:
        raise ValueError(f"it names {len(logins)}; accepted: at most {MAX_REVIEWERS}")
    return tuple(logins.values())
