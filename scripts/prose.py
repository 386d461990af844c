"""Writes what `make lint` reads of Python files into a folder: a text for each file, with the same lines.

A text has the comments, the strings, and the names of functions and classes, whose words are separated by spaces.
"""

import re
import shutil
import subprocess
import sys
import tokenize
from io import StringIO
from pathlib import Path

PROSE = {"COMMENT", "STRING", "FSTRING_MIDDLE"}


def prose(source: str) -> str:
    """Return the text of a Python file."""
    lines = [""] * (source.count("\n") + 1)
    before = ""
    for token in tokenize.generate_tokens(StringIO(source).readline):
        text = token.string if tokenize.tok_name[token.type] in PROSE else ""
        if before in {"class", "def"}:
            text = re.sub(r"_|(?<=[a-z])(?=[A-Z])", " ", token.string)
        for number, line in enumerate(text.splitlines(), token.start[0] - 1):
            lines[number] += f"{line.strip()} "
        before = token.string
    return "\n".join(lines)


def main(folder: Path) -> None:
    """Write the texts of all Python files that Git has."""
    shutil.rmtree(folder, ignore_errors=True)
    for name in subprocess.check_output(["git", "ls-files", "*.py"], text=True).split():  # noqa: S607
        target = folder / f"{name}.txt"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(prose(Path(name).read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
