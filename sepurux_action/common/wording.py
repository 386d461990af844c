"""Parts of sentences, and what joins them."""


def capitalized(text: str) -> str:
    """Return the text with its first letter in upper case, and the others as they are."""
    return text[:1].upper() + text[1:]


def joined(separator: str, *parts: str) -> str:
    """Return the parts that are not empty, with the separator between them."""
    return separator.join(filter(None, parts))


def optional(template: str, value: object) -> str:
    """Return a template of this program with the value in place of `{}`; '' for a value that is empty, 0, or None."""
    return template.format(value) if value else ""


def location(file: str, line: int) -> str:
    """Return `file:line`, or '' without a file."""
    return f"{file}:{line}" if file else ""
