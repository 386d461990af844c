"""Reads and writes the files of a folder, in which earlier steps may have left links, FIFOs, and folders."""

import secrets
from collections.abc import Mapping
from pathlib import Path

from sepurux_action.common import json_reader
from sepurux_action.host.output import Level, Output


def write_files(folder: Path, texts: Mapping[str, str], output: Output) -> None:
    """Write each text, without secrets, to the file of its name, whole or not at all. What fails is one warning.

    A file is written under a random name and renamed. So no link is followed, and no FIFO is opened.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            _write(folder / name, output.redact(text).encode(errors="replace"))
    except OSError as error:
        text = f"{', '.join(texts)} could not be written to {json_reader.preview(str(folder))}: {error.strerror}."
        output.annotate(Level.WARNING, text)


def _write(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(16)}")
    try:
        with temporary.open("xb") as file:
            file.write(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def read_file(path: Path, most: int) -> bytes | None:
    """Return the first bytes of a file, None if there is none; raises OSError."""
    if not path.is_file():  # opening a FIFO would wait
        return None
    with path.open("rb") as file:
        return file.read(most)
