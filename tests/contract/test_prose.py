"""What `make lint` reads of a Python file."""

from __future__ import annotations

from scripts.prose import prose

SOURCE = '''\
class SoftGate:  # a comment
    """A docstring

    of several lines."""

    def opens_it(self, name: str) -> str:
        return f"a text for {name}" + self.other
'''


def test_comments_texts_and_names_stay_on_their_lines() -> None:
    lines = [" ".join(line.split()) for line in prose(SOURCE).splitlines()]
    assert lines[:2] == ["Soft Gate # a comment", '"""A docstring']
    assert lines[3:6] == ['of several lines."""', "", "opens it"]
    assert "a text for" in lines[6]
    assert "other" not in lines[6]
