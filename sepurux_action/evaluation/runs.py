"""One CI run: what a response says of it, of which any field may be missing, what Sepurux decided, and what failed.

Source: the first rows of docs/reference.md#decisions, which need no number.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum, auto
from functools import partial
from typing import Any, Literal

from sepurux_action.common import grouped, json_reader
from sepurux_action.common.json_reader import Reading
from sepurux_action.config.settings import Call, Trace
from sepurux_action.evaluation import metrics
from sepurux_action.evaluation.metrics import FAILURES, METRICS, PASS_RATE, SCENARIOS, UNSAFE_ATTEMPTS, Metric, Numbers

NO_OBJECT = "a response that is not a JSON object"
OTHER_CAMPAIGN = "a response about another campaign"
FAILED_STATUSES = frozenset({"failed", "error", "cancelled"})
FINISHED_STATUSES = frozenset({"done", "completed"})
KNOWN_STATUSES = FAILED_STATUSES | FINISHED_STATUSES | {"", "queued", "running", "pending"}
KNOWN_DECISIONS = frozenset({"", "pass", "fail", "pending"})
NO_TRACE = Trace(label="")  # of a run that evaluates registered scenarios, or one of a batch
FAILURE_TEXTS = ("type", "mutation", "severity", "description")
MAX_OWN_FAILURES = 200  # of a recording; the recorder itself ends one after fewer calls
MAX_TEXT_LENGTH = 1_000  # characters; a report shows at most 200
SEVERITIES = {word: rank for rank, word in enumerate(("critical", "high", "medium", "low", "info"))}  # 0 for the worst
STILL_MISSING = "{{Rerun}}. If the {} is missing again, ask Sepurux about this `Sepurux run`."


class Rule(StrEnum):
    """Which row of docs/reference.md#decisions applies, or what else decided. Those that need a number are a gate's."""

    NOT_POLLED = auto()  # no response has said anything of the run
    DECIDED_FAIL = auto()
    EVALUATION_FAILED = auto()
    UNKNOWN_WORD = auto()
    THRESHOLD_MISSED = auto()
    NUMBER_UNKNOWN = auto()
    DECIDED_PASS = auto()
    FINISHED_UNDECIDED = auto()
    PENDING = auto()
    CANCELED = auto()
    BASE_UNREAD = auto()
    RECORDED = auto()  # an earlier run decided, of which only the commit status is left
    RECORD_UNREAD = auto()  # the commit's statuses are not known, so an earlier run may have failed
    OUTAGE = auto()  # Sepurux gave no response, or only HTTP 5xx, to the first call


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


# How a step differs from the base's best recording; `with` and `without`: an argument.
StepDifference = Literal["none", "instead", "added", "missing", "without", "with"]
FailureKind = tuple[str, ...]  # `type`, `mutation`, `severity`, tool: the same in results of the scenario


@dataclass(frozen=True, slots=True)
class OnBase:
    """How often failures of the kind of one are here, and in the base's results with its scenario.

    Of these `results`, so many are `having` it, with at `most` so many for each recording; `here` is the same number.
    """

    having: int
    results: int
    here: float
    most: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseScenario:
    """What a result in `baseline.json` has of a scenario: the pass rate, None if it is not known, and the failures.

    `failures` are their numbers for each recording by kind, None if not all are known. `steps` are of the best one.
    """

    name: str
    pass_rate: float | None = None
    failures: Mapping[FailureKind, float] | None = field(default_factory=dict)
    steps: tuple[Call, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """The step at which a failing recording first differs from the base's best one, else the one that failed.

    A step is a call of a tool, and `number` counts the calls of the recording, from 1. A `missing` one is missing after
    this step, and before step 1 if it is 0. `other` is the tool that the base calls instead, or the first argument that
    only one of both calls has. Neither it nor `tool` is `…`.
    """

    number: int
    tool: str
    difference: StepDifference = "none"
    other: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Failures of one kind and with one description. Every text is foreign.

    `tool` and `event`, the index of an event of the trace, are what its metadata says. `scenario` is the name of the
    scenario of a trace, '' if it is not known. `on_base` is None if the failure was not compared with the base, and
    `step` if it is not known. `steps` are lines that show what the agent did: a sign in front, a number, and a call.
    Failures of a `flaky` scenario do not count. A report that shows one of several texts of a kind counts the `others`.
    """

    type: str = ""
    mutation: str = ""
    severity: str = ""
    tool: str = ""
    description: str = ""
    trace_id: str = ""
    event: float | None = None
    count: int = 1
    others: int = 0
    scenario: str = ""
    on_base: OnBase | None = None
    step: Step | None = None
    steps: tuple[str, ...] = ()
    flaky: bool = False

    @property
    def kind(self) -> FailureKind:
        return self.type, self.mutation, self.severity, self.tool

    @property
    def alike(self) -> tuple[object, ...]:
        """Return what failures that are counted together have in common: no text stands for another one."""
        return *self.kind, self.description, self.trace_id, self.scenario, self.on_base, self.flaky

    @property
    def is_new(self) -> bool:
        """Return whether such failures are here more often than in every result of the base."""
        return self.on_base is not None and self.on_base.here > self.on_base.most and not self.flaky


Failures = tuple[Failure, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One CI run: that of a trace, a batch, or one of a batch. Unknown ids and names, also of its scenario, are ''.

    `run_ids` to `sandbox` are what the last response shows. `status` and `sepurux_decision` are Sepurux's words, '' if
    missing or null. `categories` are the names of mutations, None if they are not reported.
    `failing_tools` are the failures that Sepurux counts for each tool, the most first.

    `decision` to `hint` are what this means. `failures` are its classified failures by kind, with the path of an
    uploaded trace in place of the id. `unread`: not all of its numbers or failures were read. `name` is that of its
    trace at Sepurux, if it was read.
    """

    trace: Trace = NO_TRACE
    name: str = ""
    campaign_id: str = ""
    trace_id: str = ""
    run_id: str = ""
    batch_id: str = ""
    run_ids: tuple[str, ...] = ()
    status: str = ""
    sepurux_decision: str = ""
    numbers: Numbers = field(default_factory=dict)
    categories: tuple[str, ...] | None = None
    failing_tools: Mapping[str, int] = field(default_factory=dict)
    dashboard_url: str = ""
    sandbox: bool = False
    decision: Decision = Decision.PENDING
    rule: Rule = Rule.NOT_POLLED
    reason: str = ""
    hint: str = ""
    elapsed_s: float = 0
    failures: Failures = ()
    unread: bool = False

    @property
    def path(self) -> str:
        """Return the path of an uploaded trace, else ''. It stands for the id, which is another one in each run."""
        return "" if self.trace.content is None else self.trace.label

    @property
    def evaluated(self) -> bool:
        """Return whether a response shows how the run ended, so that its numbers and failures can be read."""
        return self.rule not in {Rule.NOT_POLLED, Rule.OUTAGE, Rule.CANCELED, Rule.RECORDED, Rule.RECORD_UNREAD}

    @property
    def reported(self) -> float:
        """Return how many failures and unsafe attempts it reports; infinite if one number is not known."""
        return _or_infinity(self.value(FAILURES)) + _or_infinity(self.value(UNSAFE_ATTEMPTS))

    @property
    def failed(self) -> bool:
        counts = self.value(FAILURES), self.value(UNSAFE_ATTEMPTS)
        return bool(self.failures or self.trace.own_failures) or self.sepurux_decision == "fail" or any(counts)

    def value(self, metric: Metric) -> float | None:
        return metric.reading(self.numbers).value


Runs = tuple[Run, ...]


def worst_of(runs: Runs) -> Run:
    """Return the worst run: by decision, then by the lowest pass rate; flaky ones last."""
    return min(runs, key=lambda run: (bool(run.trace.flaky), run.decision.rank, _or_infinity(run.value(PASS_RATE))))


def numbers_key(value: Callable[[Metric], float | None]) -> tuple[float, float, float]:
    """Return a key that sorts the worst numbers first; `value` returns the number of a metric."""
    return -(value(UNSAFE_ATTEMPTS) or 0), _or_infinity(value(PASS_RATE)), -(value(FAILURES) or 0)


def _or_infinity(number: float | None) -> float:
    return math.inf if number is None else number


def parse_run(payload: object, run: Run = Run()) -> Run:
    """Return the run with what a response shows of it; never raises, whatever JSON it is."""
    body = json_reader.as_object(payload)
    single = json_reader.identifier(body.get("run_id"))
    named = tuple(map(json_reader.identifier, json_reader.as_array(body.get("run_ids"))))
    numbers = {metric.name: reading for metric in METRICS if not (reading := metric.read(payload)).missing}
    if SCENARIOS.reading(numbers).missing and named and all(named):
        numbers[SCENARIOS.name] = Reading(float(len(set(named))))
    tools = Counter[str]()
    for item in map(json_reader.as_object, json_reader.as_array(body.get("top_failing_tools"))):
        if tool := json_reader.text(item.get("tool"))[: metrics.MAX_NAME_LENGTH]:
            tools[tool] += int(metrics.read_count(item.get("count")).value or 0)
    return replace(
        run,
        run_ids=tuple(dict.fromkeys(filter(None, named or (single,)))),
        status=_word(body.get("status")),
        sepurux_decision=_word(body.get("decision")),
        numbers=numbers,
        categories=metrics.read_categories(body.get("mutation_categories")),
        failing_tools=dict(tools.most_common()),
        dashboard_url=json_reader.safe_url(body.get("dashboard_url")),
        sandbox=body.get("sandbox") is True,
    )


def own_failures(run: Run, redact: Callable[[str], str]) -> Failures:
    """Return what a recording says itself, redacted before it is cut; it is shown if Sepurux lists no failure."""
    kept = run.trace.own_failures[:MAX_OWN_FAILURES]
    about = partial(Failure, type="expectation", trace_id=run.path, flaky=bool(run.trace.flaky))
    return merge_failures(about(description=redact(text)[:MAX_TEXT_LENGTH], event=call) for text, call in kept)


def _word(value: object) -> str:
    """Return a status or decision, '' for null; anything but a short printable text becomes an unknown word."""
    if value is None:
        return ""
    quoted = json_reader.preview(value)
    return str(value) if quoted == f'"{value}"' else quoted


def wrong_shape(payload: object, run: Run) -> str:
    """Return why a response is not about this run, or its batch if it has one, or its campaign; '' if it may be."""
    if not isinstance(payload, dict):
        return NO_OBJECT
    if not all(isinstance(payload.get(name), str | None) for name in ("run_id", "batch_id")):
        return "a response whose run_id or batch_id is not a text"
    named = payload.get("batch_id") if run.batch_id else payload.get("run_id")
    if named not in {None, "", run.batch_id or run.run_id}:
        return "a response about another run"
    return OTHER_CAMPAIGN if is_about_another(payload, run.campaign_id) else ""


def is_about_another(payload: object, campaign_id: str) -> bool:
    """Return whether a response names another campaign; ids are compared without regard to case."""
    named = json_reader.at(payload, "campaign_id")
    return isinstance(named, str) and bool(campaign_id) and named.lower() != campaign_id.lower()


def decide(run: Run) -> Run:
    """Return the run with what Sepurux decided. The rule FINISHED_UNDECIDED counts only if another poll confirms it.

    In a hint, `{rerun}` and the names of options differ by where it is read.
    """
    status, word, decision, hint = run.status, run.sepurux_decision, Decision.PENDING, ""
    words = (("status", status, KNOWN_STATUSES), ("decision", word, KNOWN_DECISIONS))
    unknown = " and ".join(
        f"the {name} {json_reader.preview(each)}" for name, each, known in words if each not in known
    )
    if word == "fail":
        decision, rule, reason = Decision.FAIL, Rule.DECIDED_FAIL, "Sepurux decided `fail`."
    elif status in FAILED_STATUSES:
        reason = f"The evaluation itself failed at Sepurux (status `{status}`)."
        decision, rule, hint = (
            Decision.ERROR,
            Rule.EVALUATION_FAILED,
            "See the `Sepurux run` for the cause, then {rerun}.",
        )
    elif unknown:
        rule, reason = Rule.UNKNOWN_WORD, f"Sepurux reported {unknown}, which this version of the gate does not know."
        hint = "Update sepurux/gate-action, or ask Sepurux what it means."
    elif word == "pass":
        decision, rule, reason = Decision.PASS, Rule.DECIDED_PASS, "Sepurux decided `pass`."
    elif status in FINISHED_STATUSES:
        reason = f"The evaluation ended (status `{status}`), but Sepurux reported no decision."
        decision, rule, hint = Decision.ERROR, Rule.FINISHED_UNDECIDED, STILL_MISSING.format("decision")
    else:
        rule, reason = Rule.PENDING, f"Sepurux has not decided yet (status `{status or 'unknown'}`)."
        hint = "{Rerun}, or raise {timeout} (now {now})."
    return replace(run, decision=decision, rule=rule, reason=reason, hint=hint)


def parse_failures(payload: object) -> Failures:
    failures = list[Failure]()
    for item in filter(None, map(json_reader.as_object, json_reader.as_array(payload))):
        metadata = json_reader.as_object(item.get("metadata"))
        given = {**{name: item.get(name) for name in FAILURE_TEXTS}, "tool": metadata.get("tool")}
        texts: dict[str, Any] = {name: json_reader.text(each)[:MAX_TEXT_LENGTH] for name, each in given.items()}
        event = json_reader.number(metadata.get("event"), low=0, whole=True).value
        failures.append(Failure(**texts, trace_id=json_reader.identifier(item.get("trace_id")), event=event))
    return tuple(failures)


def merge_failures(failures: Iterable[Failure]) -> Failures:
    """Return the failures by what they have in common, first the new, severe, and frequent ones; flaky ones last."""
    groups = grouped((failure.alike, failure) for failure in failures)
    merged = [replace(alike[0], count=sum(each.count for each in alike)) for alike in groups.values()]
    merged.sort(key=lambda each: (each.flaky, not each.is_new, severity_rank(each.severity), -each.count))
    return tuple(merged)


def severity_rank(severity: str) -> int:
    """Return the rank of a severity, 0 for the worst; unknown words come last."""
    return SEVERITIES.get(severity.lower(), len(SEVERITIES))
