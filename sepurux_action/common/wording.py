"""Formats numbers and durations for people, and parts of sentences; numbers that differ look different."""

from collections.abc import Sequence

MAX_DIGITS = 10  # after the point
MOST_NAMED = 3  # of a list of names in a sentence


def decimal(value: float) -> str:
    """Return a decimal without exponent and trailing zeros: `0.72`, `61.5`, `3`."""
    return f"{value:z.{MAX_DIGITS}f}".rstrip("0").rstrip(".")  # `z` turns minus zero into zero


def percent(fraction: float, distinct_from: float | None = None) -> str:
    """Return a fraction as `72.0%`, with more digits to differ from another. Only 0 is `0.0%`, only 1 is `100.0%`."""
    others = (0.0, 1.0, distinct_from)
    return max((score(fraction * 100, other * 100) for other in others if other is not None), key=len) + "%"


def score(value: float, distinct_from: float | None = None) -> str:
    """Return a reliability score of 0 to 100 as `61.5`, with more digits to differ from `distinct_from`."""
    digits = 1
    if distinct_from not in {None, value}:
        while digits < MAX_DIGITS and f"{value:.{digits}f}" == f"{distinct_from:.{digits}f}":
            digits += 1
    return f"{value:.{digits}f}"


def count(value: float) -> str:
    return f"{int(value):,}"


def pluralize(value: float, one: str, many: str = "") -> str:
    noun = one if value == 1 else many or f"{one}s"
    return f"{count(value)} {noun}"


def duration(seconds: float) -> str:
    """Return seconds as `0.4 s`, `45 s`, `10 min`, or `1 h 30 min`."""
    if 0 < seconds < 9.95:  # noqa: PLR2004 - what rounds to less than 10 s
        return f"{max(seconds, 0.1):.1f} s".replace(".0 s", " s")
    hours, rest = divmod(max(0, round(seconds)), 3600)
    minutes, rest = divmod(rest, 60)
    parts = [(hours, "h"), (minutes, "min"), (0 if hours else rest, "s")]
    return " ".join(f"{number} {unit}" for number, unit in parts if number) or "0 s"


def capitalized(text: str) -> str:
    """Return the text with its first letter in upper case, and the others as they are."""
    return text[:1].upper() + text[1:]


def joined(separator: str, *parts: str) -> str:
    """Return the parts that are not empty, with the separator between them."""
    return separator.join(filter(None, parts))


def optional(template: str, value: object) -> str:
    """Return a template of this program with the value in place of `{}`; '' for a value that is empty, 0, or None."""
    return template.format(value) if value else ""


def listed(names: Sequence[str], word: str = "and", most: int = MOST_NAMED) -> str:
    """Return `A and B`, or `A, B, and C`; after the first ones, how many more there are."""
    shown = [*names]
    if len(shown) > most:
        shown[most:] = [f"{len(shown) - most} more"]
    before = ", ".join(shown[:-1]) + ("," if shown[2:] else "")
    return joined(f" {word} ", before, *shown[-1:])
