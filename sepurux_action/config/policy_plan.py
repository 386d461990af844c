"""What a policy file means for each gate, and what in it is allowed, but probably a mistake.

What the file does not set has its default here. Source: docs/configuration.md#check-the-file.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from sepurux_action.common.wording import optional
from sepurux_action.config import options
from sepurux_action.config.layers import Layer
from sepurux_action.config.policy import Policy
from sepurux_action.config.settings import OptionReader
from sepurux_action.config.stage import Stage
from sepurux_action.errors import Problem

NO_CAMPAIGN = "it is not set; set it here, or with the input `campaign`, which applies to every gate without one"


def gate_plans(policy: Policy) -> Iterator[dict[str, Any]]:
    """Yield what each gate of a policy means, as JSON has it.

    `approvers` may approve a gate: None for anyone with write access, () if it is never soft.
    """
    for gate, reader in _readers(policy):
        name, stage = policy.name(gate), reader.value(options.ENFORCEMENT)
        approvers = reader.value(options.REVIEWERS) if stage is Stage.SOFT else ()
        yield {
            "file": gate.place.file,
            "line": gate.place.line,
            "name": name or None,
            "campaign": reader.value(options.CAMPAIGN),
            "enforcement": stage,
            "approvers": approvers,
        }


def plan_line(plan: Mapping[str, Any]) -> str:
    parts = [optional("campaign {}", plan["campaign"]) or "no campaign"]
    parts.append(plan["enforcement"] or f"{options.ENFORCEMENT.default} by default")
    who = "anyone with write access" if plan["approvers"] is None else ", ".join(plan["approvers"])
    parts.append(optional("{} can approve", who) or "needs no approval")
    return f"{plan['name'] or 'a gate without a name'}: {'; '.join(parts)}"


def policy_warnings(policy: Policy) -> list[Problem]:
    """Return what is allowed, but probably a mistake."""
    lacking = (gate for gate, reader in _readers(policy) if reader.value(options.CAMPAIGN) is None)
    return [gate.problem(options.CAMPAIGN, NO_CAMPAIGN) for gate in lacking]


def _readers(policy: Policy) -> Iterator[tuple[Layer, OptionReader]]:
    top = OptionReader([policy.top])
    yield from ((gate, top.within(gate)) for gate in policy.gates or (policy.top,))
