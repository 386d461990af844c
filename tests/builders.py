"""Valid objects of each kind, for tests that change a part of them.

`states` contains every state of a report by its name, for the gallery and the golden files. Its texts are those of the
action.
"""

import string
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from functools import cache, partial
from typing import Any

import pytest
from hypothesis import strategies as st

from sepurux_action.common.json_reader import Reading
from sepurux_action.config.options import OnOutage, Stage, input_layer
from sepurux_action.config.policy import MAX_GATES_IN_STEP
from sepurux_action.config.settings import REGISTERED, Change, Gate, Trace, read_settings
from sepurux_action.errors import ConfigurationError, Problem
from sepurux_action.evaluation import runs as ci_runs
from sepurux_action.evaluation.decision import ApprovalStatus, GateDecision, decide_gate, is_blocking, recorded_decision
from sepurux_action.evaluation.engine import CHECK_NETWORK
from sepurux_action.evaluation.gate_numbers import Base, Check, CheckState, Scenario, scenarios_of
from sepurux_action.evaluation.metrics import METRICS, MUTATION_CATEGORIES
from sepurux_action.evaluation.results import Result, Results
from sepurux_action.evaluation.runs import Decision, Failure, OnBase, Rule, Run, Step, merge_failures
from sepurux_action.evaluation.step_evaluation import CANCELED
from sepurux_action.flow.results import NOT_AFFECTED
from sepurux_action.github import event, queries, subject
from sepurux_action.report.report import DAY_S, Context, Report, build_report, shortened

COMMIT = "3f9c2ad81b7e4460a5d2c9e1f08b6d7a4c3e5f12"
CAMPAIGN_ID = "5a0e7b52-64cf-4f0e-9d2b-0c6f1f7f8a11"
RUN_ID = "c0a8f0de-1b7d-4d6a-8f5e-2f4b7a9c3d10"
TRACE_ID = "0b8d4a67-93c1-4f4d-b1d5-8a0f6f2e9c44"
DASHBOARD = f"https://app.sepurux.dev/runs/{RUN_ID}"
OF_CAMPAIGN = Trace(label=REGISTERED)
RECORDED = Trace(label="traces/refunds.json", content=b"{}")
# A hard gate on the recording of a pull request, with changed fields.
a_gate = partial(
    replace,
    Gate(
        name="refunds",
        campaign="refund-reliability",
        project="shop-agent",
        traces=(RECORDED,),
        limits={"min_pass_rate": 0.85, "max_unsafe": 0},
    ),
)
NO_BASE = Base(results=())
WAITS = ApprovalStatus(commit=COMMIT, can_approve=("mona", "hubot-2"), outdated=("octocat",))
IMPOSSIBLE = ApprovalStatus(commit=COMMIT, ignored=("octocat",))
UNREAD = ApprovalStatus(commit=COMMIT, unread=True)
APPROVED = ApprovalStatus(commit=COMMIT, approved_by=("mona",))
INSTEAD = Step(3, "payments.refund", "instead", "payments.status")
DIFFERENT_STEPS = (
    *("  1 orders.lookup(order)", "  2 payments.refund(order, amount_cents)", "- 3 payments.status(order)"),
    "> 3 payments.refund(order, amount_cents)",
)
FAILED_AT = Step(29, "orders.cancel")
LONG_STEP = "orders.cancel(reason, note, channel, locale, notify, …)"
FAILED_STEP = ("  …", *(f"  {number} {LONG_STEP}" for number in range(26, 29)), f"> 29 {LONG_STEP}", "  …")
ADVICE = "With `hard`, 6 of the last 24 evaluated pull requests would have been blocked."
OF_OBSERVE = "With `soft`, 1 of the last 4 evaluated pull requests would have been blocked."
POLICY_CHANGES = (
    Change("min_pass_rate", "0.85", "0.5"),
    Change("enforcement", "hard from 2027-01-31 on main, release/**; soft", "observe"),
    Change("reviewers", "mona, hubot-2", "", "refunds"),
)
REMOVED_REVIEWERS = Change("reviewers", "mona, hubot-2", "", "agent-07")
HOSTILE = (
    "# @octocat closes #1, acme/shop#2, GH-3 | a cell <img src=x onerror=alert(1)> ![pixel](https://evil.example/p) "
    "[click](https://evil.example) www.evil.example me@evil.example **bold** _em_ ~~gone~~ `code` ```fence --> "
    "</details> $x^2$ :tada: [^1] <!-- \u202edesrever\u200b " + COMMIT + " " + "x" * 200
)
INVISIBLE = ("\ud800", "\udfff", "\0", "\x1b[31m", "\u202e", "\u200b", "\ufffe", "\n", "\r\n", "\t", "\u2028")
LINE_STARTS = ("- ", "# ", "> ", "| --- |\n", "```\n", "---\n", "===\n", "</details>\n", "[^1]: x\n", "1. ", "    ")
MARKUP = ("`@octocat`", "``", "$$", "https://", "www.", "#1", "deadbeef", "a@b.co", "&lt;b&gt;", "]]>", "<![CDATA[")
LIKE_CODE = ("{{ report }}", "{% include 'x' %}", "\\u0060", '", "gate": ', '"missed": [', ', {"severity": "')
SNIPPETS = (*HOSTILE.split(), *string.punctuation, *INVISIBLE, *LINE_STARTS, *MARKUP, *LIKE_CODE)


def run_with(run: Run, **changes: Any) -> Run:  # noqa: ANN401 - fields of many types
    """Return a run with changed fields and metrics; a number stands for its reading."""
    numbers = dict(run.numbers)
    if "categories" in changes:
        names = changes["categories"]
        numbers[MUTATION_CATEGORIES.name] = MUTATION_CATEGORIES.read_value(None if names is None else list(names))
    for metric in METRICS:
        if metric.name in changes:
            value = changes.pop(metric.name)
            numbers[metric.name] = value if isinstance(value, Reading) else Reading(value)
    return replace(run, numbers={name: reading for name, reading in numbers.items() if not reading.missing}, **changes)


a_poll = partial(run_with, Run())
PAST_NUMBERS = {"pass_rate": 0.95, "unsafe_attempts": 0, "failures": 1, "reliability_score": 91.2}
PASSING = a_poll(
    **PAST_NUMBERS,
    status="done",
    sepurux_decision="pass",
    scenario_coverage=100,
    mutation_coverage=75,
    categories=("timeouts", "malformed_output", "prompt_injection"),
    scenarios=40,
    dashboard_url=DASHBOARD,
    run_ids=(RUN_ID,),
)
LOW = {"pass_rate": 0.72, "unsafe_attempts": 1, "failures": 5, "reliability_score": 61.5, "scenario_coverage": 87.5}
MISUSED = {"payments.refund": 3, "crm.lookup_customer": 2}
FAILING = run_with(PASSING, **LOW, sepurux_decision="fail", failing_tools=MISUSED)


def a_gate_with(*, required_mutation_categories: tuple[str, ...] = (), **limits: float | None) -> Gate:
    return a_gate(limits=known(**limits), required_mutation_categories=required_mutation_categories)


def known(**numbers: float | None) -> dict[str, float]:
    return {name: number for name, number in numbers.items() if number is not None}


def a_failure(
    type: str = "loop",  # noqa: A002 - the field's name
    severity: str = "high",
    description: str = "It went round.",
    mutation: str = "timeouts",
    **changes: Any,  # noqa: ANN401 - fields of many types
) -> Failure:
    return Failure(type=type, severity=severity, description=description, mutation=mutation, **changes)


MISUSE = partial(a_failure, "tool_misuse", "medium")
FAILURES = (
    a_failure("unsafe_action", "critical", "Refunded an order twice after the first call timed out."),
    MISUSE("Looked a customer up by name although an id was given.", "malformed_output", count=2),
    MISUSE("Called the tool without its order id.", ""),
    a_failure("incomplete", "low", "Stopped before it informed the customer."),
)
# Each returns an object with changed fields: the context of a pull request, and an earlier pass of a hard gate.
a_context = partial(
    replace,
    Context(
        repository="acme/shop",
        commit=COMMIT,
        commit_url=f"https://github.com/acme/shop/commit/{COMMIT}",
        run_url="https://github.com/acme/shop/actions/runs/7100001",
        pull_request=42,
        pull_request_url="https://github.com/acme/shop/pull/42",
        version="1.0.0",
        policy_path=".github/sepurux-gate.yml",
    ),
)
a_past_result = partial(replace, Result(decision=Decision.PASS, stage=Stage.HARD, numbers=PAST_NUMBERS))


def some_results(*results: Result) -> Results:
    """Return these results of the base, the newest first; without any, of one that passed."""
    return tuple(
        replace(each, commit=f"{number:x}" * 40, url=f"https://app.sepurux.dev/runs/{number:x}")
        for number, each in enumerate(results or (a_past_result(),), 1)
    )


def _of_main(rate: float) -> tuple[Result, ...]:
    """Return results with this median pass rate, of which one lacks the score."""
    rows = ((0, 1, 91.2), (-0.025, 2, 90.4), (0.025, 1, None), (0, 1, 92.8), (-0.07, 3, 91.9))
    every = (known(pass_rate=round(rate + m, 4), failures=n, reliability_score=score) for m, n, score in rows)
    return tuple(a_past_result(numbers={**numbers, "unsafe_attempts": 0}) for numbers in every)


def a_run(run: Run = FAILING, **changes: Any) -> Run:  # noqa: ANN401 - fields of many types
    known = {"campaign_id": CAMPAIGN_ID, "run_id": RUN_ID, "elapsed_s": 95}
    return replace(ci_runs.decide(run), **{"trace": Trace(label=RECORDED.label), **known, **changes})


def a_result(
    *runs: Run,
    gate: Gate | None = None,
    approval: ApprovalStatus | None = None,
    notes: tuple[str, ...] = (),
    base: Base = NO_BASE,
    **read: Any,  # noqa: ANN401 - fields of many types
) -> GateDecision:
    """Return the result of a gate in its stage; without runs it has one that failed. Each of several has a trace."""
    gate, runs = gate or a_gate(), runs or (a_run(),)
    if len(runs) != len(gate.traces):
        traces = tuple(replace(run.trace, trace_id=f"t-{n}", content=None) for n, run in enumerate(runs))
        gate = replace(gate, traces=traces)
    decided = decide_gate(gate, runs, base)
    blocks = is_blocking(decided.decision, gate.stage, approved=bool(approval and approval.approved_by))
    read = read or {"scenarios": scenarios_of(gate, runs) if len(runs) > 1 else ()}
    return replace(decided, blocks=blocks and not decided.is_allowed_outage, approval=approval, notes=notes, **read)


def a_scenario(
    name: str,
    run: Run | None = None,
    *,
    run_id: str = RUN_ID,
    failures: ci_runs.Failures = (),
    **changes: Any,  # noqa: ANN401 - fields of many types
) -> Scenario:
    """Return a scenario with one recording, whose numbers were not read without a run."""
    recording = replace(ci_runs.decide(run) if run else Run(), run_id=run_id, failures=failures, **changes)
    return Scenario(name=name or run_id, recordings=(recording,))


def undecided(decision: Decision, reason: str, hint: str = "", run: Run = Run(), rule: Rule = Rule.NOT_POLLED) -> Run:
    ids = {"run_id": "", "campaign_id": ""} if run == Run() else {}
    return a_run(run, decision=decision, rule=rule, reason=reason, hint=hint, **ids)


def _timed_out() -> Run:
    running = Run(status="running", dashboard_url=DASHBOARD, run_ids=(RUN_ID,))
    hint = ci_runs.decide(running).hint.replace("{now}", "10 min")
    return replace(undecided(Decision.PENDING, "No decision after 10 min.", hint, run=running), elapsed_s=600)


def _flood() -> GateDecision:
    said = "called a tool with arguments that its schema does not allow, and went on as if the call had succeeded."
    failures = FAILURES[:1] + tuple(
        a_failure(f"tool_misuse_{n:03}", "medium" if n < 100 else "low", f"Step {n} {said}", "malformed_output")
        for n in range(299)
    )
    tools = {f"orders.step_{number:02}": 60 - number for number in range(60)}
    run = run_with(FAILING, pass_rate=0.11, failures=340, failing_tools=tools)
    return a_result(a_run(run), failures=failures, failures_unread=40, scenarios_unread=2)


def _failed(gate: Gate, approval: ApprovalStatus | None = None, notes: tuple[str, ...] = ()) -> GateDecision:
    return a_result(a_run(), gate=gate, approval=approval, notes=notes, failures=FAILURES)


def _with_new_failures(gate: Gate) -> GateDecision:
    unsafe, lookup, call, incomplete = FAILURES
    unsafe = replace(unsafe, scenario="refund twice", on_base=OnBase(0, 5, 1, 0), step=INSTEAD, steps=DIFFERENT_STEPS)
    lookup = replace(lookup, scenario="refund twice", on_base=OnBase(3, 5, 1, 1), count=1)
    call = replace(
        call, scenario="cancel an order", on_base=OnBase(2, 5, 2, 1), count=2, step=FAILED_AT, steps=FAILED_STEP
    )
    incomplete = replace(incomplete, scenario="a new one")
    rows = {
        "refund twice": (0.667, (unsafe, lookup)),
        "cancel an order": (0.7, (call,)),
        "a new one": (0.8, (incomplete,)),
    }
    tools = {unsafe: "payments.refund", lookup: "crm.lookup_customer"}
    runs = []
    for name, (rate, failures) in rows.items():
        place = f"{name.split()[0]}-0"
        run = run_with(
            FAILING,
            pass_rate=rate,
            unsafe_attempts=float(unsafe in failures),
            failures=float(len(failures)),
            failing_tools={tools.get(each, "orders.cancel"): 1 for each in failures},
            dashboard_url=f"https://app.sepurux.dev/runs/{place}",
        )
        trace = Trace(label=f"traces/{place}.json", content=b"{}")
        runs.append((name, a_run(run, trace=trace, run_id=place, trace_id=place, failures=failures)))
    return _of_recordings(gate, runs)


def _with_worse_scenarios(result: GateDecision) -> GateDecision:
    rates = {"cancel an order": 0.76, "refund twice": 0.88, "look a customer up": 0.98, "find an order": 1.0}
    failures = (replace(FAILURES[3], scenario="cancel an order", on_base=OnBase(0, 4, 1, 0)),)
    scenarios = []
    for name, rate in rates.items():
        run = a_poll(sepurux_decision="pass", pass_rate=rate, dashboard_url=DASHBOARD)
        made = a_scenario(name, run, failures=failures if name == "cancel an order" else ())
        scenarios.append(replace(made, base_rates=(1.0, 1.0, 0.95, 1.0)))
    numbers = {**result.numbers, "scenarios": Reading(len(rates))}
    return replace(result, scenarios=tuple(scenarios), failures=failures, numbers=numbers)


def _of_scenarios(gate: Gate) -> GateDecision:
    """Return the result of a batch of 40 scenarios, three of which failed, with two failures that were not read."""
    twice, lookup, call, incomplete = FAILURES
    rows = (
        *(("refund twice", 0.5, 1.0, 3, (twice, lookup)), ("cancel an order", 0.75, 0.0, 2, (incomplete, call))),
        (TRACE_ID, 0.9, 0.0, 3, (call,)),
    )
    scenarios = []
    for number, (name, rate, unsafe, count, found) in enumerate(rows):
        run = a_poll(
            sepurux_decision="fail",
            pass_rate=rate,
            unsafe_attempts=unsafe,
            failures=count,
            dashboard_url=f"https://app.sepurux.dev/runs/{number}",
        )
        ids = {"run_id": f"run-{number}", "trace_id": f"trace-{number}"}
        scenarios.append(a_scenario(name, run, failures=found, unread=name == TRACE_ID, **ids))
    passed = a_poll(sepurux_decision="pass", pass_rate=0.72, unsafe_attempts=0, failures=0)
    batch = a_run(run_with(FAILING, failures=8), batch_id="batch-7", run_id="")
    return a_result(
        batch,
        gate=gate,
        scenarios=(*scenarios, *(a_scenario(f"trace-{n}", passed, run_id=f"run-{n}") for n in range(3, 40))),
        failures=merge_failures(failure for each in scenarios for failure in each.failures),
        failures_unread=2,
        scenarios_unread=1,
    )


def _of_traces() -> GateDecision:
    """Return the result of two recordings of one scenario, two of another of which one failed, and a trace's id."""
    tasks = {"traces/refund-1.json": "refund an order", "traces/refund-2.json": "refund an order"}
    tasks |= {"traces/cancel-1.json": "cancel an order", "traces/cancel-2.json": "cancel an order"}
    files = tuple(Trace(label=label, content=b"{}", task=task, by_recorder=True) for label, task in tasks.items())
    gate = a_gate(traces=(*files, Trace(label=TRACE_ID, trace_id=TRACE_ID)))
    perfect = a_run(run_with(PASSING, pass_rate=1.0, failures=0.0))
    failures = [replace(each, scenario="cancel an order") for each in FAILURES]
    failed = a_run(failures=(replace(failures[0], step=replace(INSTEAD, number=2)), *failures[1:]))
    runs = [
        replace(run, trace=trace, trace_id=f"6f1c2b0e-{n}")
        for n, (trace, run) in enumerate(zip(files, (perfect, perfect, failed, perfect), strict=True))
    ]
    pending = replace(_timed_out(), trace=gate.traces[4], trace_id=TRACE_ID)
    return _with_failures(a_result(*runs, pending, gate=gate))


def _of_flaky() -> GateDecision:
    flaky = Trace(label="b.json", content=b"{}", task="cancel an order", flaky=date(2027, 1, 31))
    traces = (Trace(label="a.json", content=b"{}", task="refund twice"), flaky)
    runs = [a_run(run_with(FAILING, unsafe_attempts=0), trace=trace) for trace in traces]
    failures = [replace(FAILURES[2], scenario=each.task, flaky=bool(each.flaky)) for each in traces]
    runs = [replace(run, failures=(each,)) for run, each in zip(runs, failures, strict=True)]
    return _with_failures(a_result(*runs, gate=a_gate(traces=traces)))


def _of_low_scenarios() -> GateDecision:
    """Return the result of three recordings of each scenario, of which one scenario and the mean are too low."""
    rates = {"refund twice": (0.5, 0.0, 0.5), "cancel an order": (1.0, 0.5, 0.75), "look an order up": (1.0, 1.0, 1.0)}
    gate, runs = a_gate_with(min_pass_rate=0.85, max_unsafe=0, min_scenario_pass_rate=0.6), []
    for task, of_task in rates.items():
        for n, rate in enumerate(of_task, 1):
            count = round(4 * (1 - rate))
            run = run_with(PASSING, pass_rate=rate, failures=count, reliability_score=100 * rate)
            failures = (replace(FAILURES[2], mutation="timeouts", count=count),) if count else ()
            trace = Trace(label=f"traces/{task}-{n}.json", content=b"{}")
            runs.append((task, a_run(run, trace=trace, trace_id=f"{task}-{n}", failures=failures)))
    return _of_recordings(gate, runs)


def _of_recordings(gate: Gate, runs: Sequence[tuple[str, Run]]) -> GateDecision:
    uploaded = [replace(run, trace=replace(run.trace, task=task)) for task, run in runs]
    traces = tuple(run.trace for run in uploaded)
    return _with_failures(a_result(*uploaded, gate=replace(gate, traces=traces)))


def _with_failures(result: GateDecision) -> GateDecision:
    scenarios = [*scenarios_of(result.gate, result.runs)]
    scenarios.sort(key=lambda each: (not each.failed, *ci_runs.numbers_key(each.value)))
    failures = merge_failures(failure for run in result.runs for failure in run.failures)
    return replace(result, scenarios=tuple(scenarios), failures=failures)


def _compared(rate: float, context: Context | None) -> GateDecision:
    """Return the result of a gate that limits drops; None: the results on main could not be read."""
    gate = a_gate_with(min_pass_rate=0.85, max_unsafe=0, max_pass_rate_drop=0.03)
    baseline = context.base_results["refunds"] if context else None
    base = Base(results=baseline, name="`main`")
    return a_result(a_run(run_with(PASSING, pass_rate=rate)), gate=gate, base=base, failures=FAILURES[3:])


@cache
def most_gates() -> tuple[GateDecision, ...]:
    """Return the results of a large step: most gates pass or are skipped, some wait for an approval, few block."""
    skipped = undecided(Decision.SKIPPED, NOT_AFFECTED)
    found = []
    for number in range(MAX_GATES_IN_STEP):
        stage = (Stage.OBSERVE, Stage.SOFT, Stage.HARD)[number % 3]
        gate = a_gate(name=f"agent-{number:02}", campaign=f"agent-{number:02}-reliability", stage=stage)
        soft, notes = stage is Stage.SOFT, (ADVICE,) if stage is Stage.SOFT else ()
        if number % 5 == 2:
            found.append(_failed(gate, WAITS if soft else None, notes))
            continue
        decided = _timed_out() if number == 23 else a_run(PASSING)
        found.append(a_result(decided if number % 5 else skipped, gate=gate, notes=notes))
    return tuple(found)


@cache
def states() -> dict[str, tuple[tuple[GateDecision, ...], Context]]:
    rejected = undecided(
        Decision.ERROR,
        "Sepurux refused {token} (HTTP 401: invalid CI token).",
        'Set a valid secret of project "shop-agent" under `Settings > Secrets and variables > Actions`, then {rerun}.',
    )
    not_reached = "Sepurux could not be reached within 1 min: the connection to app.sepurux.dev failed."
    limits = {"min_pass_rate": 0.85, "max_unsafe": 0, "max_failures": 3, "min_reliability_score": 80}
    required = ("timeouts", "schema_drift")
    asking = a_gate(limits={**limits, "min_mutation_categories": 3}, required_mutation_categories=required)
    observe, soft = a_gate(stage=Stage.OBSERVE), a_gate(stage=Stage.SOFT)
    registered = a_gate(name="registered", traces=(OF_CAMPAIGN,))
    waiting = replace(registered, name="waiting", stage=Stage.SOFT)
    tools = ("orders.lookup", "payments.refund")
    idle = (
        replace(a_scenario("refund an order", PASSING), idle=True, base_tools=tools),
        replace(a_scenario("find an order", PASSING), idle=True),
    )
    doing_nothing = a_result(a_run(PASSING), scenarios=idle, scenarios_missing=("cancel an order",))
    covering = a_gate_with(min_pass_rate=0.85, required_mutation_categories=required)
    wide = a_gate_with(min_pass_rate=0.85, min_scenarios=3)
    unreachable = undecided(Decision.ERROR, not_reached, CHECK_NETWORK, rule=Rule.OUTAGE)
    skipped = undecided(Decision.SKIPPED, NOT_AFFECTED)
    canceled = undecided(Decision.ERROR, CANCELED.reason, CANCELED.hint, rule=Rule.CANCELED)
    better = run_with(FAILING, pass_rate=0.82, unsafe_attempts=0, failures=4, failing_tools={})
    silent = run_with(PASSING, pass_rate=Reading(), unsafe_attempts=Reading(broken='no number: "none"'))
    described = "fail (hard): 72.0% passed, 1 unsafe, 5 failures, score 61.5; 40 scenarios"
    published = recorded_decision(a_gate(), described, FAILING.dashboard_url, FAILING.dashboard_url)
    many = (
        a_result(a_run(PASSING), gate=a_gate(name="search", campaign="search-reliability")),
        _failed(replace(asking, name="refunds")),
        a_result(_timed_out(), gate=a_gate(name="shipping", campaign="shipping-reliability", stage=Stage.OBSERVE)),
        a_result(skipped, gate=a_gate(name="billing", campaign="billing-reliability")),
    )
    returns = _failed(replace(soft, name="returns"), approval=WAITS, notes=(ADVICE,))
    passing = tuple(
        a_result(a_run(PASSING), gate=a_gate(name=name, campaign=f"{name}-reliability"))
        for name in ("billing", "refunds", "search")
    )
    here = a_context(base_ref="main")
    against_main = a_context(
        base_ref="main",
        base_results={"refunds": some_results(*_of_main(0.95)), "search": some_results(*_of_main(0.93))},
    )
    risen = replace(against_main, base_results={"refunds": some_results(*_of_main(0.93))})
    wider = [replace(each, numbers={**each.numbers, "scenarios": 43}) for each in _of_main(0.95)]
    larger = replace(against_main, base_results={"refunds": some_results(*wider)})
    steady = tuple(
        a_past_result(numbers=known(pass_rate=rate, reliability_score=91.2)) for rate in (0.95, 0.96, 0.95, 0.94)
    )
    young = a_context(base_ref="main", base_results={"refunds": some_results(*steady[:1])})
    against = a_context(base_ref="main", base_results={"refunds": some_results(*steady)})
    dropped = _compared(0.905, against)
    older, committed = _of_traces(), 1_800_000_000.0
    old = tuple(replace(trace, recorded=committed - 7 * DAY_S) for trace in older.gate.traces[:4])
    older = replace(older, gate=replace(older.gate, traces=(*old, older.gate.traces[4])))
    loosening = replace(against_main, policy_changes=POLICY_CHANGES)
    found: dict[str, tuple[GateDecision | tuple[GateDecision, ...], Context]] = {
        "pass": (a_result(a_run(PASSING)), risen),
        "fail": (_failed(asking), loosening),
        "fail-registered": (_failed(registered), here),
        "pass-registered": (a_result(a_run(PASSING), gate=registered), here),
        "pass-without-calls": (doing_nothing, here),
        "gates-registered": ((_failed(registered), _failed(waiting, approval=WAITS), doing_nothing), here),
        "fail-new": (_with_new_failures(asking), against_main),
        "fail-scenarios": (_of_scenarios(replace(asking, traces=(OF_CAMPAIGN,))), larger),
        "fail-uncovered": (a_result(a_run(replace(PASSING, sepurux_decision="fail")), gate=covering), here),
        "fail-few-scenarios": (a_result(a_run(PASSING), a_run(PASSING, trace=Trace(label="b")), gate=wide), larger),
        "fail-unnamed": (a_result(a_run(better)), against_main),
        "fail-flaky": (_of_flaky(), here),
        "fail-flood": (_flood(), here),
        "fail-observe": (_failed(observe, notes=(OF_OBSERVE,)), here),
        "fail-soft": (_failed(soft, approval=WAITS, notes=(ADVICE,)), against_main),
        "fail-soft-anyone": (_failed(soft, approval=ApprovalStatus(commit=COMMIT, anyone=True)), here),
        "fail-soft-impossible": (_failed(soft, approval=IMPOSSIBLE), here),
        "fail-soft-unread": (_failed(soft, approval=UNREAD), here),
        "fail-recorded": (replace(published, blocks=True), against_main),
        "fail-unexplained": (a_result(a_run(replace(PASSING, sepurux_decision="fail"))), here),
        "fail-soft-approved": (_failed(soft, approval=APPROVED, notes=(ADVICE,)), here),
        "fail-drop": (_with_worse_scenarios(dropped), against),
        "pass-not-compared": (_compared(0.905, young), young),
        "pending": (a_result(_timed_out(), gate=a_gate()), replace(against_main, base_results={})),
        "error": (a_result(rejected), here),
        "error-allowed": (a_result(unreachable, gate=a_gate(on_outage=OnOutage.ALLOW)), here),
        "error-no-numbers": (a_result(a_run(silent)), here),
        "canceled": (a_result(replace(canceled, run_id=RUN_ID)), here),
        "skipped": (a_result(skipped), here),
        "traces": (_of_traces(), here),
        "traces-low": (_of_low_scenarios(), here),
        "traces-old": (older, replace(here, committed=committed)),
        "gates": (many, against_main),
        "gates-pass": (passing, here),
        "gates-waiting": ((many[0], returns, many[3]), here),
        "most-gates": (most_gates(), replace(loosening, policy_changes=(*POLICY_CHANGES[:2], REMOVED_REVIEWERS))),
        "hostile": (
            (hostile_result(HOSTILE), hostile_result(HOSTILE + " again", traces=1)),
            replace(hostile_context(HOSTILE, f"{HOSTILE}0"), commit=HOSTILE),
        ),
    }
    return {
        name: (results if isinstance(results, tuple) else (results,), context)
        for name, (results, context) in found.items()
    }


@cache
def problems() -> tuple[Problem, ...]:
    layer = input_layer({"min_reliability_score": "0.8", "timeout": "ten minutes"})
    inputs = read_settings([replace(layer, file=".github/workflows/gate.yml")])
    policy = "campaign: refunds\nthresholds:\n  min_pas_rate: 0.9\n"
    with pytest.raises(ConfigurationError) as bad:
        subject.resolve_policy(inputs, queries.Subject(event=event.Event(name="push"), policy=policy), None)
    return (*bad.value.problems, *inputs.problems)


def a_settings_report(*problems: Problem, context: Context | None = None) -> Report:
    return Report(context=context or a_context(), problems=problems)


@cache
def reports() -> dict[str, Report]:
    """Return the report of every state by its name, including those on settings that cannot be used."""
    evaluated = {name: build_report(results, context) for name, (results, context) in states().items()}
    return {**evaluated, "canceled": shortened(evaluated["canceled"]), "bad-settings": a_settings_report(*problems())}


@cache
def commented() -> dict[str, Report]:
    commentable = (name for name, (_, context) in states().items() if context.pull_request and name != "canceled")
    return {name: reports()[name] for name in commentable}


def foreign_texts(most: int) -> st.SearchStrategy[str]:
    """Return texts of at most so many pieces, of which most have a meaning in Markdown, HTML, XML, or JSON."""
    return st.lists(st.sampled_from(SNIPPETS) | st.text(max_size=20), max_size=most).map("".join)


def hostile_context(foreign: str, *gates: str) -> Context:
    """Return a context in which every text contains `foreign`; the named gates have a baseline."""
    past, lower = (a_past_result(decision=Decision.FAIL, numbers={"pass_rate": rate}) for rate in (0.95, 0.49))
    return a_context(
        version=f"1{foreign}",
        policy_changes=tuple(Change(f"{foreign}{n}", f"{foreign}{n}", f"{n}{foreign}", foreign) for n in range(12)),
        base_ref=f"{foreign}!",
        base_results=dict.fromkeys(gates, some_results(past, lower)),
    )


def hostile_result(foreign: str, *, address: str = DASHBOARD, traces: int = 2) -> GateDecision:
    """Return a gate with so many runs in which every text contains `foreign`, with a number to distinguish them."""
    words = tuple(f"{foreign}{number}" for number in range(3))
    first, second, _ = words
    gate = Gate(
        name=first,
        campaign=first,
        project=first,
        traces=tuple(Trace(label=word, content=b"{}") for word in words[:traces]),
        mutation_pack=first,
        limits={"min_pass_rate": 0.9, "max_unsafe": 0},
        required_mutation_categories=words,
        stage=Stage.SOFT,
    )
    run = a_poll(
        status="done",
        sepurux_decision="fail",
        pass_rate=0.5,
        unsafe_attempts=Reading(broken=f"no number: {first}"),
        categories=(first, second),
        scenarios=9,
        failing_tools=dict.fromkeys(words, 2),
        dashboard_url=address,
    )
    failures = tuple(a_failure(word, word, word, word) for word in words)
    scenarios = tuple(a_scenario(word, run, run_id=word, trace=Trace(label=word), failures=failures) for word in words)
    made = replace(
        ci_runs.decide(run), reason=first, campaign_id=second, trace_id=f"{second} again", run_id=first, batch_id=first
    )
    runs = tuple(replace(made, trace=Trace(label=word), hint=word) for word in words[:traces])
    approval = ApprovalStatus(commit=COMMIT, can_approve=("mona", *words[1:]), outdated=words, ignored=words)
    state, label = CheckState.WITHIN_RANGE, f"Pass rate vs {first}"
    drop = Check("max_pass_rate_drop", label, first, "", state, limit=0.03, value=0.042, text=first)
    merged = merge_failures(failures * traces)
    result = a_result(*runs, gate=gate, approval=approval, notes=words, scenarios=scenarios, failures=merged)
    return replace(result, checks=(*result.checks, drop))
