"""The YAML blocks of the documents, and the smallest workflow that contains each."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from textwrap import dedent, indent

import yaml

from sepurux_action.config.options import OPTIONS
from sepurux_action.config.policy_parser import GATES, THRESHOLDS, VERSION_KEY

POLICY_KEYS = {*(option.name for option in OPTIONS), VERSION_KEY, GATES, THRESHOLDS}


@dataclass(frozen=True, slots=True)
class Block:
    name: str
    text: str

    @property
    def kind(self) -> str:
        """Return what it is: a whole `workflow`, its `triggers`, a list of `steps`, or a `policy`."""
        value = yaml.safe_load(self.text)
        if isinstance(value, list) and all({"uses", "run"} & set(step) for step in value):
            return "steps"
        keys = {"on" if key is True else key for key in value} if isinstance(value, dict) else set()  # YAML 1.1's `on`
        if "jobs" in keys:
            return "workflow"
        if keys == {"on"}:
            return "triggers"
        if keys and keys <= POLICY_KEYS:
            return "policy"
        raise ValueError(f"{self.name} is neither a workflow, nor a part of one, nor a policy")

    @property
    def workflow(self) -> str:
        match self.kind:
            case "steps":
                job = f"runs-on: ubuntu-latest\nsteps:\n{indent(self.text, '  ')}"
                return f"on: push\njobs:\n  fragment:\n{indent(job, '    ')}"
            case "triggers":
                return f"{self.text}\njobs:\n  fragment:\n    runs-on: ubuntu-latest\n    steps: [{{run: 'true'}}]\n"
            case _:
                return self.text


def blocks_of(name: str, markdown: str) -> Iterator[Block]:
    for fence in re.finditer(r"^```ya?ml\n(.*?)^```", markdown, re.MULTILINE | re.DOTALL):
        yield Block(f"{name}:{markdown.count(chr(10), 0, fence.start()) + 2}", dedent(fence[1]))
