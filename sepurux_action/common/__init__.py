"""What every other package uses: JSON reading, secrets, formats of numbers and sentences, and groups of values."""

from collections.abc import Iterable
from typing import TypeVar

T = TypeVar("T")
Key = TypeVar("Key")


def grouped(pairs: Iterable[tuple[Key, T]]) -> dict[Key, list[T]]:
    groups: dict[Key, list[T]] = {}
    for key, item in pairs:
        groups.setdefault(key, []).append(item)
    return groups
