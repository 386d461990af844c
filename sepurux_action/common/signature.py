"""Signs what the action keeps where others can write, so that it reads only what it has written there itself."""

from __future__ import annotations

import hashlib
import hmac
import json


def sign(key: str, purpose: str, *content: object) -> str:
    """Return the HMAC-SHA-256, in hexadecimal, of JSON values; no `purpose` accepts the signature of another one."""
    return hmac.new(key.encode(), json.dumps([purpose, *content]).encode(), hashlib.sha256).hexdigest()


def is_signed(signature: str, key: str, purpose: str, *content: object) -> bool:
    """Return whether `sign` returns this signature, in constant time. Without a key, it is not."""
    return bool(key) and hmac.compare_digest(signature.encode(), sign(key, purpose, *content).encode())
