"""What every other package uses: JSON reading, secrets, formats of numbers and sentences, and a type variable."""

from typing import TypeVar

T = TypeVar("T")
