"""The prose linter of `make lint` finds wrong words and long sentences, in documents and in comments of YAML files."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
BIN = Path(sys.executable).parent
TEXTLINT = BIN.parent / "node_modules" / "textlint" / "bin" / "textlint.js"

# Each row has a wrong sentence, in which the words between brackets are what the linter should find.
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
WRAPPED = "The gate is opened\nby a review.\n"
LONG = f"This sentence is {'very, ' * 40}long.\n"


def found(text: str, name: str, environment: dict[str, str]) -> str:
    """Return what textlint finds in a file of this name."""
    done = subprocess.run(
        [BIN / "node", TEXTLINT, "--stdin", "--stdin-filename", name, "--format", "unix"],
        input=text,
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout, f"textlint ended with {done.returncode}: {done.stderr}"
    return done.stdout


@pytest.mark.parametrize(("name", "environment"), [("a.md", {}), ("a.yml", {"COMMENTS": "1"})])
def test_the_linter_finds_wrong_words(name: str, environment: dict[str, str]) -> None:
    output = found(re.sub(r"[\[\]]", "", WRONG), name, environment)
    wrong = re.findall(r"\[(.+?)\]", WRONG, re.DOTALL)
    assert [word for word in wrong if f"“{word}”" not in output] == []


def test_the_linter_finds_wrong_words_across_lines_and_long_sentences() -> None:
    assert "“opened\nby”" in found(WRAPPED, "a.md", {})
    assert "exceeds the maximum sentence length" in found(LONG, "a.md", {})
