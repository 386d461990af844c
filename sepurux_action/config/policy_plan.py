"""What a policy file means for each gate from today on, and what in it is allowed, but probably a mistake.

What the file does not set has its default here. Source: docs/configuration.md#check-the-file.
"""

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import Any

from sepurux_action.common.wording import optional
from sepurux_action.config import options
from sepurux_action.config.layers import Layer
from sepurux_action.config.policy import Policy
from sepurux_action.config.settings import OptionReader
from sepurux_action.config.stage import Stage, StageRule, changes, stage_on, strictness
from sepurux_action.errors import Problem

FAR = timedelta(days=2 * 365 + 1)  # two years; a later `from` is probably a wrong year
NO_CAMPAIGN = "it is not set; set it here, or with the input `campaign`, which applies to every gate without one"


def gate_plans(policy: Policy, today: date) -> Iterator[dict[str, Any]]:
    """Yield what each gate of a policy means from today on, as JSON has it.

    `approvers` may approve a gate: None for anyone with write access, () if it is never soft.
    """
    for gate, reader in _readers(policy):
        name, stages = policy.name(gate), list(_stage_plans(reader.value(options.ENFORCEMENT) or (), today))
        approvers: tuple[str, ...] | None = ()
        if any(Stage.SOFT in {plan["today"], *(each["stage"] for each in plan["changes"])} for plan in stages):
            approvers = reader.value(options.REVIEWERS)
        yield {
            "file": gate.place.file,
            "line": gate.place.line,
            "name": name or None,
            "campaign": reader.value(options.CAMPAIGN),
            "enforcement": stages,
            "approvers": approvers,
        }


def plan_line(plan: Mapping[str, Any]) -> str:
    parts = [optional("campaign {}", plan["campaign"]) or "no campaign"]
    for branch in plan["enforcement"]:
        now = optional("on {}: ", branch["branches"]) + f"{branch['today']} today"
        parts.append(", ".join([now, *(f"{each['stage']} from {each['from']}" for each in branch["changes"])]))
    if not plan["enforcement"]:
        parts.append(f"{options.ENFORCEMENT.default} by default")
    who = "anyone with write access" if plan["approvers"] is None else ", ".join(plan["approvers"])
    parts.append(optional("{} can approve", who) or "needs no approval")
    return f"{plan['name'] or 'a gate without a name'}: {'; '.join(parts)}"


def policy_warnings(policy: Policy, today: date) -> list[Problem]:
    """Return what is allowed, but probably a mistake; gates may share an `enforcement`, which is named once."""
    found = dict.fromkeys(each for gate, reader in _readers(policy) for each in _warnings(gate, reader, today))
    return sorted(found, key=lambda problem: (problem.line, problem.column))


def _readers(policy: Policy) -> Iterator[tuple[Layer, OptionReader]]:
    top = OptionReader([policy.top])
    yield from ((gate, top.within(gate)) for gate in policy.gates or (policy.top,))


def _stage_plans(rules: tuple[StageRule, ...], today: date) -> Iterator[dict[str, Any]]:
    """Yield the plan of the branches that no entry names, then those of the branches that an entry names."""
    if not rules:
        return
    for branches in dict.fromkeys((None, *(rule.branches for rule in rules))):
        matching = [rule for rule in rules if rule.branches in {None, branches}]
        later = [{"from": str(day), "stage": stage} for day, stage in changes(matching, today)]
        yield {"branches": str(branches or "") or None, "today": stage_on(matching, today), "changes": later}


def _warnings(gate: Layer, reader: OptionReader, today: date) -> Iterator[Problem]:
    if reader.value(options.CAMPAIGN) is None:
        yield gate.problem(options.CAMPAIGN, NO_CAMPAIGN)
    rules = reader.value(options.ENFORCEMENT) or ()
    for rule in rules:
        earlier = [each for each in rules if each.branches == rule.branches and each.start < rule.start]
        before = max(earlier, key=lambda each: each.start, default=rule)
        if strictness(rule.stage) < strictness(before.stage):
            yield rule.place.problem(f"`{rule}` is weaker than `{before}`, which applies until then; check the dates")
        if rule.start > today + FAR:
            yield rule.place.problem(f"{rule.start} is more than two years away; check the year")
