"""What a policy file means for each gate from today on, and what in it is allowed, but probably a mistake.

What the file does not set has its default here. Source: docs/configuration.md#check-the-file.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from sepurux_action.common.wording import optional
from sepurux_action.config import options
from sepurux_action.config.layers import Layer
from sepurux_action.config.policy import Policy
from sepurux_action.config.settings import BASE, OptionReader, Publishing
from sepurux_action.config.stage import Stage, StageRule, changes, stage_on, strictness
from sepurux_action.errors import Problem

FAR = timedelta(days=2 * 365 + 1)  # two years; a later `from` is probably a wrong year
NO_CAMPAIGN = "it is not set; set it here, or with the input `campaign`, which applies to every gate without one"


@dataclass(frozen=True, slots=True)
class StagePlan:
    """The stage today and the later changes, on the branches that some patterns match; '' for all others."""

    branches: str
    today: Stage
    changes: tuple[tuple[date, Stage], ...]

    def __str__(self) -> str:
        now = optional("on {}: ", self.branches) + f"{self.today} today"
        return ", ".join([now, *(f"{stage} from {day}" for day, stage in self.changes)])

    def data(self) -> dict[str, Any]:
        later = [{"from": str(day), "stage": stage} for day, stage in self.changes]
        return {"branches": self.branches or None, "today": self.today, "changes": later}


@dataclass(frozen=True, slots=True, kw_only=True)
class GatePlan:
    """What a gate of a policy file means. `stages` is empty if the file sets none. `status` is '' without a status.

    `approvers` may approve it; None for anyone with write access, () if it is never soft.
    """

    layer: Layer
    name: str
    campaign: str
    stages: tuple[StagePlan, ...]
    approvers: tuple[str, ...] | None
    status: str

    def __str__(self) -> str:
        who = "anyone with write access" if self.approvers is None else ", ".join(self.approvers)
        parts = (
            optional("campaign {}", self.campaign) or "no campaign",
            "; ".join(map(str, self.stages)) or f"{options.ENFORCEMENT.default} by default",
            optional("{} can approve", who) or "needs no approval",
            optional("status {}", self.status) or "no status",
        )
        return f"{self.name or 'a gate without a name'}: {'; '.join(parts)}"

    def data(self) -> dict[str, Any]:
        """Return what JSON has."""
        return {
            "file": self.layer.place.file,
            "line": self.layer.place.line,
            "name": self.name or None,
            "campaign": self.campaign or None,
            "enforcement": [stage.data() for stage in self.stages],
            "approvers": self.approvers,
            "status": self.status or None,
        }


def gate_plans(policy: Policy, today: date) -> list[GatePlan]:
    """Return what each gate of a policy means, from today on."""
    return [_plan(policy, gate, reader, today) for gate, reader in _readers(policy)]


def policy_warnings(policy: Policy, today: date) -> list[Problem]:
    """Return what is allowed, but probably a mistake; gates may share an `enforcement`, which is named once."""
    found = dict.fromkeys(each for gate, reader in _readers(policy) for each in _warnings(gate, reader, today))
    return sorted(found, key=lambda problem: (problem.line, problem.column))


def _readers(policy: Policy) -> Iterator[tuple[Layer, OptionReader]]:
    top = OptionReader([policy.top])
    yield from ((gate, top.within(gate)) for gate in policy.gates or (policy.top,))


def _plan(policy: Policy, gate: Layer, reader: OptionReader, today: date) -> GatePlan:
    name, stages = policy.name(gate), tuple(_stage_plans(_rules(reader), today))
    may_be_soft = any(Stage.SOFT in {plan.today, *dict(plan.changes).values()} for plan in stages)
    publishing = Publishing(**reader.values(options.STATUS, options.STATUS_CONTEXT))
    return GatePlan(
        layer=gate,
        name=name,
        campaign=reader.value(options.CAMPAIGN) or "",
        stages=stages,
        approvers=reader.value(options.REVIEWERS) if may_be_soft else (),
        status="".join(publishing.contexts([name or "NAME"], BASE)),
    )


def _rules(reader: OptionReader) -> tuple[StageRule, ...]:
    rules: tuple[StageRule, ...] = reader.values(options.ENFORCEMENT).get(options.ENFORCEMENT.name, ())
    return rules


def _stage_plans(rules: tuple[StageRule, ...], today: date) -> Iterator[StagePlan]:
    """Yield the plan of the branches that no entry names, then those of the branches that an entry names."""
    if not rules:
        return
    for branches in dict.fromkeys((None, *(rule.branches for rule in rules))):
        matching = [rule for rule in rules if rule.branches in {None, branches}]
        yield StagePlan(str(branches or ""), stage_on(matching, today), tuple(changes(matching, today)))


def _warnings(gate: Layer, reader: OptionReader, today: date) -> Iterator[Problem]:
    if reader.value(options.CAMPAIGN) is None:
        yield gate.problem(options.CAMPAIGN, NO_CAMPAIGN)
    rules = _rules(reader)
    for rule in rules:
        earlier = [each for each in rules if each.branches == rule.branches and each.start < rule.start]
        before = max(earlier, key=lambda each: each.start, default=rule)
        if strictness(rule.stage) < strictness(before.stage):
            yield rule.place.problem(f"`{rule}` is weaker than `{before}`, which applies until then; check the dates")
        if rule.start > today + FAR:
            yield rule.place.problem(f"{rule.start} is more than two years away; check the year")
