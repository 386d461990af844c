"""Owns which addresses may be linked or called, as far as their text tells; never asks a network for a name."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

MAX_ADDRESS_LENGTH = 2_000  # characters; contract, section 8


def safe_address(value: object) -> str:
    """Return an address that may be linked, or '': https (http on loopback), no user part, 2,000 characters at most.

    Source: contract, section 8.
    """
    if not isinstance(value, str) or not 0 < len(value) <= MAX_ADDRESS_LENGTH or not _plain(value):
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
    """Return whether a host's name or address is this machine itself."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _plain(address: str) -> bool:
    return address.isascii() and all(c.isalnum() or c in "-._~:/?#[@!$&'()*+,;=%]" for c in address)
