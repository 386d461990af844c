"""What every other package uses: JSON reading, secrets, number formats, and a type variable."""

from typing import TypeVar

T = TypeVar("T")
