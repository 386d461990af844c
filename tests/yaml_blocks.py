"""The YAML blocks of the documents, each a policy or a workflow."""

from __future__ import annotations

import re
from collections.abc import Iterator
from textwrap import dedent, indent
from typing import NamedTuple

import yaml

STEPS = "on: push\njobs:\n  fragment:\n    runs-on: ubuntu-latest\n    steps:\n"


class Block(NamedTuple):
    name: str
    is_policy: bool
    text: str


def blocks_of(name: str, markdown: str) -> Iterator[Block]:
    """Yield each block of a document; a list of steps is in the smallest workflow that has them."""
    for fence in re.finditer(r"^```ya?ml\n(.*?)^```", markdown, re.MULTILINE | re.DOTALL):
        text = dedent(fence[1])
        value = yaml.safe_load(text)
        if isinstance(value, list):
            text = STEPS + indent(text, "      ")
        is_policy = not isinstance(value, list) and "jobs" not in value
        yield Block(f"{name}:{markdown.count(chr(10), 0, fence.start()) + 2}", is_policy, text)
