"""Why a gate has its result, and why it blocks or does not, where its thresholds do not say it.

Templates write these sentences after the result.
"""

from __future__ import annotations

from sepurux_action.config.command_line import at_source
from sepurux_action.config.stage import OnUndecided, Stage
from sepurux_action.evaluation.checks import REQUIRED_CATEGORIES
from sepurux_action.evaluation.decision import SEE_THE_RUN, UNEXPLAINED_FAIL, Decision, Rule
from sepurux_action.evaluation.drops import DROPS
from sepurux_action.report.gate_facts import GateFacts
from sepurux_action.report.state import State


def explanation(gate: GateFacts) -> str:
    """Return why a gate failed, '' if its thresholds say it."""
    if gate.rule is Rule.DECIDED_FAIL and not gate.thresholds.missed:
        ask = f"Ask Sepurux about run `{gate.worst.run_id}`." if gate.worst.run_id else ""
        return f"{gate.detail or UNEXPLAINED_FAIL} {SEE_THE_RUN if gate.dashboard else ask}"
    if gate.rule is Rule.THRESHOLD_MISSED and not gate.by_earlier_drop:
        return " ".join(filter(None, (_drops(gate), _reported_pass(gate), gate.hint)))
    return (
        gate.reason if gate.rule is Rule.THRESHOLD_MISSED or (gate.rule is Rule.FAILED_TWICE and gate.recorded) else ""
    )


def _drops(gate: GateFacts) -> str:
    lower = [DROPS[row.check.threshold] for row in gate.thresholds.missed if row.is_drop]
    if not lower:
        return ""
    names, are = " and the ".join(metric.noun for metric in lower), "are" if lower[1:] else "is"
    counts = {len(gate.baseline.values(metric)) for metric in lower}
    results = f"last {counts.pop()} results" if len(counts) == 1 else "last results"
    where = f" on `{gate.context.base_ref}`" if gate.context.base_ref else ""
    return f"The {names} {are} lower than in each of the {results}{where}."


def _reported_pass(gate: GateFacts) -> str:
    if gate.gate.has_several_traces:
        all_passed = all(run.decision is Decision.PASS for run in gate.runs)
        return "Sepurux itself reported a pass for each trace." if all_passed else ""
    if any(row.check.threshold in gate.gate.thresholds for row in gate.thresholds.missed):  # it was sent
        return "Sepurux itself reported a pass, although this number misses the threshold."
    return "Sepurux itself reported a pass: it does not know this threshold."


def not_covered(gate: GateFacts) -> str:
    """Return what to do if required mutation categories are all that the gate misses, '' otherwise."""
    lacking = gate.thresholds.lacking
    if not gate.thresholds.only_lacking:
        return ""
    names, it = " and no ".join(f'"{each}"' for each in lacking), "them" if lacking[1:] else "it"
    remedy = f"Register a scenario for {it} at Sepurux, or remove {it} from {{{REQUIRED_CATEGORIES}}}."
    return f"The campaign covers no {names}. {at_source(remedy, gate.gate)}"


def explained_by_failures(gate: GateFacts) -> bool:
    """Return whether what failed is the reason: the reason is known, and it is not one of the settings."""
    known = bool(gate.thresholds.missed) or gate.rule is not Rule.DECIDED_FAIL
    return known and not (gate.thresholds.only_small or gate.thresholds.only_lacking)


def acts_as_hard(gate: GateFacts) -> bool:
    return gate.gate.stage is Stage.SOFT and gate.approval is None and not gate.short


def what_happened(gate: GateFacts, *, as_markdown: bool) -> str:
    """Return the reason of a gate without a result, without what the title of a report shows.

    Markdown also says that the agent is not the cause, if no poll showed a result.
    """
    detail = "" if gate.state is State.CANCELLED else gate.detail
    unevaluated = gate.decision is Decision.ERROR and gate.rule is Rule.NOT_POLLED
    return f"The agent was not evaluated: {detail}" if detail and unevaluated and as_markdown else detail


def not_allowed(gate: GateFacts) -> str:
    """Return why `on_undecided: allow` does not apply to a gate without a result, '' if it does or is not set."""
    allows = gate.gate.on_undecided is OnUndecided.ALLOW and not gate.invalid_policy
    if not (gate.decision.is_undecided and gate.blocks and allows):
        return ""
    if gate.short:
        return "the step was cancelled"
    if gate.rule is Rule.RECORD_UNREAD:
        return "an earlier run may have failed"
    return "the gate uploads a trace" if gate.rule is Rule.BASE_UNREAD else "the uploaded trace may be the cause"
