"""Why a gate has its result, and why it blocks or does not, where its thresholds do not say it.

`sentences.py` and `next_steps.py` use these sentences.
"""

from __future__ import annotations

import re

from sepurux_action.common.wording import capitalized, joined, optional
from sepurux_action.config.stage import OnUndecided, Stage
from sepurux_action.evaluation.decision import UNEXPLAINED_FAIL, Decision, Rule
from sepurux_action.evaluation.metrics import UNSAFE_ATTEMPTS
from sepurux_action.report.gate_facts import GateFacts
from sepurux_action.report.state import State

# Up to the first bracket or colon that is not part of a quoted name.
_CLAUSE = re.compile(r"""(?P<first>(?:`[^`]*`|"(?:[^"\\]|\\.)*"|.)*?)(?: \(|: |$)""", re.DOTALL)
MAX_HEADLINE_LENGTH = 150  # characters; the alert shows a longer one


def explanation(gate: GateFacts) -> str:
    """Return why a gate failed, '' if its thresholds say it."""
    if unexplained(gate):
        why = gate.detail or UNEXPLAINED_FAIL
        if gate.worst.run_id and not gate.dashboard:
            return f"{why} Ask Sepurux about run `{gate.worst.run_id}`."
        return why
    if gate.rule is Rule.THRESHOLD_MISSED and gate.thresholds.missed:
        return gate.hint
    if gate.rule is Rule.THRESHOLD_MISSED or (gate.rule is Rule.FAILED_TWICE and gate.recorded):
        return gate.reason
    return ""


def reported_pass(gate: GateFacts) -> str:
    """Return that Sepurux itself reported a pass, of a gate that failed; '' if it did not."""
    if gate.rule is not Rule.THRESHOLD_MISSED or not gate.thresholds.missed or gate.by_earlier_drop:
        return ""
    if gate.gate.has_several_traces:
        if any(run.decision is not Decision.PASS for run in gate.runs):
            return ""
        return "Sepurux reported a pass for each trace alone."
    if any(row.check.threshold in gate.gate.thresholds for row in gate.thresholds.missed):  # it was sent
        return "Sepurux itself reported a pass, although this number misses the threshold."
    return "Sepurux itself reported a pass: it does not know this threshold."


def reached(gate: GateFacts) -> str:
    """Return the numbers of a gate that passed, for its title: `95.0%, nothing unsafe`."""
    unsafe, numbers = gate.numbers.value(UNSAFE_ATTEMPTS), [gate.pass_rate]
    if unsafe == 0:
        numbers.append("nothing unsafe")
    elif unsafe:
        numbers.append(UNSAFE_ATTEMPTS.named(unsafe))
    return joined(", ", *numbers)


def headline(gate: GateFacts) -> str:
    """Return why a gate was not evaluated, without what stands in brackets or after a colon; '' if it was.

    It is '' too if it is too long for a title.
    """
    if gate.rule is not Rule.NOT_POLLED:
        return ""
    found = _CLAUSE.match(gate.detail)
    if found is None or len(found["first"].removesuffix(".")) > MAX_HEADLINE_LENGTH:
        return ""
    return found["first"].removesuffix(".")


def no_trace_can_cause(gate: GateFacts) -> bool:
    """Return whether an outage or a setting is why a gate was not evaluated (docs/reference.md#decisions)."""
    return gate.decision is Decision.ERROR and gate.rule is Rule.NOT_POLLED and not gate.is_suspect


def unexplained(gate: GateFacts) -> bool:
    """Return whether a gate failed although it misses no threshold."""
    return gate.rule is Rule.DECIDED_FAIL and not gate.thresholds.missed


def explained_by_failures(gate: GateFacts) -> bool:
    """Return whether what failed is the reason, and a report or a page shows it: not one of the settings."""
    shown = gate.dashboard or gate.found.failures or not unexplained(gate)
    return bool(shown) and not (gate.thresholds.only_small or gate.thresholds.only_lacking)


def acts_as_hard(gate: GateFacts) -> bool:
    return gate.gate.stage is Stage.SOFT and gate.approval is None and not gate.short


def what_happened(gate: GateFacts) -> str:
    """Return the reason of a gate without a result, without what the title of a report shows."""
    if gate.state is State.CANCELED:
        return ""
    rest = gate.detail.removeprefix(headline(gate)).strip(" .:")
    if rest.startswith("(") and rest.endswith(")"):
        rest = rest[1:-1]
    return optional("{}.", capitalized(rest))


def not_allowed(gate: GateFacts) -> str:
    """Return why `on_undecided: allow` does not apply to a gate without a result, '' if it does or is not set."""
    allows = gate.gate.on_undecided is OnUndecided.ALLOW and not gate.invalid_policy
    if not (gate.decision.is_undecided and gate.blocks and allows):
        return ""
    if gate.short:
        return "the step was canceled"
    if gate.rule is Rule.RECORD_UNREAD:
        return "the results of earlier runs are not known"
    if gate.rule is Rule.BASE_UNREAD:
        return "the gate uploads a trace"
    return "the uploaded trace may be the cause"
