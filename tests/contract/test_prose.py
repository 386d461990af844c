"""The prose linter of `make lint` finds wrong words and long sentences, in documents and in comments of YAML files."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
TEXTLINT = BIN.parent / "node_modules" / "textlint" / "bin" / "textlint.js"

# Between brackets is what the linter should find.
WRONG = """\
The pull request is [judged] by a [verdict].
A review [opens the gate].
The gate is [opened by] a review.
With [bad settings], the [gate is closed].
The [policy rules] over the inputs.
The action [lets through] a pull request that is [not affected].
The report [tells] [somebody] what was [learnt].
The job was [cancelled].
"""
WRAPPED = "\nThe gate is opened\nby a review.\n"
LONG = f"\nThis sentence is {'very, ' * 40}long.\n"


def found(text: str, name: str, **environment: str) -> str:
    """Return what textlint finds in a file of this name."""
    done = subprocess.run(
        [BIN / "node", TEXTLINT, "--stdin", "--stdin-filename", name, "--format", "unix"],
        input=re.sub(r"[\[\]]", "", text),
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout, f"textlint ended with {done.returncode}: {done.stderr}"
    return done.stdout


def missed(output: str) -> list[str]:
    return [word for word in re.findall(r"\[(.+?)\]", WRONG) if f"“{word}”" not in output]


def test_the_linter_finds_wrong_words_and_long_sentences_in_a_document() -> None:
    output = found(WRONG + WRAPPED + LONG, "a.md")
    assert missed(output) == []
    assert "“opened\nby”" in output
    assert "exceeds the maximum sentence length" in output


def test_the_linter_finds_wrong_words_in_a_yaml_file() -> None:
    assert missed(found(WRONG, "a.yml", COMMENTS="1")) == []
