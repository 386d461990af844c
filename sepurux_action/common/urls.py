"""Checks whether a URL may be linked and whether a host is loopback, by the text alone, without name resolution."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

MAX_URL_LENGTH = 2_000  # characters


def safe_url(value: object) -> str:
    """Return a URL that may be linked; '' for any other value.

    Accepted: https, or http on loopback; no user name; at most 2,000 characters. Source: docs/security.md.
    """
    if not isinstance(value, str) or not 0 < len(value) <= MAX_URL_LENGTH or not _plain(value):
        return ""
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        return ""
    host = parts.hostname or ""
    allowed = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))
    return value if allowed and host and "@" not in parts.netloc else ""


def is_loopback(host: str) -> bool:
    """Return whether a host name or IP address is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _plain(address: str) -> bool:
    return address.isascii() and all(c.isalnum() or c in "-._~:/?#[@!$&'()*+,;=%]" for c in address)
