"""Decides what one poll of a run means: the rows of docs/reference.md#decisions that need no number."""

from dataclasses import dataclass
from enum import IntEnum, StrEnum

from sepurux_action.common import json_reader
from sepurux_action.evaluation.ci_run import CIRun

FAILED_STATUSES = frozenset({"failed", "error", "cancelled"})
FINISHED_STATUSES = frozenset({"done", "completed"})
KNOWN_STATUSES = FAILED_STATUSES | FINISHED_STATUSES | {"", "queued", "running", "pending"}
KNOWN_DECISIONS = frozenset({"", "pass", "fail", "pending"})
UNEXPLAINED_FAIL = "Sepurux decided `fail`, but no threshold that is set here explains why."
SEE_THE_RUN = "See the `Sepurux run`."


class Rule(IntEnum):
    """Which row of docs/reference.md#decisions applies, or what else decided. Those that need a number are a gate's."""

    NOT_POLLED = 0
    DECIDED_FAIL = 1
    EVALUATION_FAILED = 2
    UNKNOWN_WORD = 3
    THRESHOLD_MISSED = 4
    NUMBER_UNKNOWN = 5
    DECIDED_PASS = 6
    FINISHED_UNDECIDED = 7
    PENDING = 8
    CANCELED = 9
    BASE_UNREAD = 10
    RECORDED = 11  # an earlier run failed, of which only the commit status is left
    RECORD_UNREAD = 12  # the commit's statuses are not known, so an earlier run may have failed
    OUTAGE = 13  # Sepurux gave no response, or only HTTP 5xx, to the first call


# No poll shows how a run ended.
UNSEEN = frozenset({Rule.NOT_POLLED, Rule.OUTAGE, Rule.CANCELED})
# What to do about a decision that is not on the agent. `{rerun}` and names of options differ by where it is read.
NEXT_STEPS = {
    Rule.EVALUATION_FAILED: "See the `Sepurux run` for the cause, then {rerun}.",
    Rule.UNKNOWN_WORD: "Update sepurux/gate-action, or ask Sepurux what it means.",
    Rule.NUMBER_UNKNOWN: "{Rerun}. If the number is missing again, ask Sepurux about this `Sepurux run`.",
    Rule.FINISHED_UNDECIDED: "{Rerun}. If the decision is missing again, ask Sepurux about this `Sepurux run`.",
    Rule.PENDING: "{Rerun}, or raise {timeout} (now {now}).",
    Rule.CANCELED: "{Rerun}.",
}


class Decision(StrEnum):
    """The decision on a run or a gate, the worst first (docs/reference.md#outputs)."""

    FAIL = "fail"
    ERROR = "error"
    PENDING = "pending"
    PASS = "pass"  # noqa: S105 - a word of the CI API
    SKIPPED = "skipped"

    @property
    def rank(self) -> int:
        return list(Decision).index(self)

    @property
    def is_decided(self) -> bool:
        return self in {Decision.PASS, Decision.FAIL}

    @property
    def is_undecided(self) -> bool:
        return self in {Decision.ERROR, Decision.PENDING}


@dataclass(frozen=True, slots=True)
class RunDecision:
    """What one poll means. `detail` is the reason without what a title and the table of a report show, '' if alike."""

    decision: Decision
    reason: str
    rule: Rule
    detail: str = ""


def decide(run: CIRun) -> RunDecision:
    """Return what Sepurux decided. The rule FINISHED_UNDECIDED counts only if another poll confirms it."""
    if run.decision == "fail":
        return RunDecision(Decision.FAIL, UNEXPLAINED_FAIL, Rule.DECIDED_FAIL)
    if run.status in FAILED_STATUSES:
        what = "was canceled" if run.status == "cancelled" else "failed"
        shown = f"status `{run.status}`"
        if run.decision:
            shown += f", decision {json_reader.preview(run.decision)}"
        reason = f"The evaluation itself {what} at Sepurux ({shown})."
        return RunDecision(Decision.ERROR, reason, Rule.EVALUATION_FAILED)
    words = (("status", run.status, KNOWN_STATUSES), ("decision", run.decision, KNOWN_DECISIONS))
    if unknown := [f"the {name} {json_reader.preview(word)}" for name, word, known in words if word not in known]:
        reason = f"Sepurux reported {' and '.join(unknown)}, which this version of the gate does not know."
        return RunDecision(Decision.PENDING, reason, Rule.UNKNOWN_WORD)
    if run.decision == "pass":
        return RunDecision(Decision.PASS, "Sepurux decided `pass`.", Rule.DECIDED_PASS)
    if run.status in FINISHED_STATUSES:
        reason = f"The evaluation ended (status `{run.status}`), but Sepurux reported no decision."
        return RunDecision(Decision.ERROR, reason, Rule.FINISHED_UNDECIDED)
    shown = f"status `{run.status}`" if run.status else "no status"
    return RunDecision(Decision.PENDING, f"Sepurux has not decided yet ({shown}).", Rule.PENDING)
