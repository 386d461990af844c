"""Whatever the traces of a gate report, every number that is shown is the worst, and no failed run is hidden."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sepurux_action.common.json_reader import Reading
from sepurux_action.evaluation.ci_run import CIRun
from sepurux_action.evaluation.decision import CheckState, Decision, Rule, RunDecision, check_thresholds, decide
from sepurux_action.evaluation.drops import Base
from sepurux_action.evaluation.gate_decision import compared_again
from sepurux_action.evaluation.metrics import FAILURES, PASS_RATE, RELIABILITY_SCORE, UNSAFE_ATTEMPTS
from sepurux_action.evaluation.published_result import CommitResults
from sepurux_action.evaluation.result import GateResult, summarize
from sepurux_action.evaluation.runs import RunResult
from sepurux_action.github.comment_state import State, failures_of
from sepurux_action.report.report import build_report
from tests.builders import COMMIT, EARLIER, a_ci_run, a_context, a_gate_with, a_result


def metrics(values: st.SearchStrategy[float]) -> st.SearchStrategy[Reading]:
    return st.builds(Reading, values) | st.sampled_from([Reading(), Reading(broken='no number: "many"')])


categories = st.sampled_from(["timeouts", "auth", "drift", "noise"])
some_runs = st.builds(
    a_ci_run,
    decision=st.sampled_from(["pass", "pass", "fail", "pending", ""]),
    status=st.sampled_from(["done", "running", "error"]),
    pass_rate=metrics(st.floats(0, 1).map(lambda rate: round(rate, 10)) | st.sampled_from([0.0, 0.9, 1.0])),
    unsafe_attempts=metrics(st.integers(0, 2).map(float)),
    failures=metrics(st.integers(0, 2).map(float)),
    reliability_score=metrics(
        st.floats(0, 100).map(lambda score: round(score, 8)) | st.sampled_from([0.0, 1.0, 80.0, 100.0])
    ),
    mutation_categories=st.none() | st.lists(categories).map(tuple),
)
some_gate_settings = st.builds(
    a_gate_with,
    min_pass_rate=st.none() | st.sampled_from([0.0, 0.5, 0.9, 1.0]),
    max_unsafe=st.none() | st.integers(0, 1),
    max_failures=st.none() | st.integers(0, 1),
    min_reliability_score=st.none() | st.sampled_from([1.0, 80.0]),
    min_mutation_categories=st.none() | st.integers(0, 3),
    required_mutation_categories=st.lists(categories, unique=True).map(tuple),
)
BROKEN_OFF = RunDecision(decision=Decision.ERROR, reason="It was cancelled.", rule=Rule.NOT_POLLED)


@st.composite
def some_gates(draw: st.DrawFn) -> GateResult:
    gate = draw(some_gate_settings)
    runs = draw(st.lists(some_runs, min_size=1, max_size=4))
    results = [
        RunResult(trace=f"t{at}", run_decision=draw(st.sampled_from([decide(run, gate), BROKEN_OFF])), run=run)
        for at, run in enumerate(runs)
    ]
    return a_result(*results, gate=gate)


@given(some_gates())
def test_each_number_is_the_worst_of_any_run_and_says_how_many_report_it(result: GateResult) -> None:
    for metric, pick in ((PASS_RATE, min), (UNSAFE_ATTEMPTS, max), (FAILURES, max), (RELIABILITY_SCORE, min)):
        readings = [run.run.reading(metric) for run in result.runs]
        values = [reading.value for reading in readings if reading.value is not None]
        shown = result.numbers.reading(metric)
        assert shown.value == (pick(values) if values else None)
        assert shown.reported_by == (
            f"{len(values)} of {len(readings)} traces" if 0 < len(values) < len(readings) else ""
        )


@given(some_gates())
def test_a_threshold_reads_as_missed_if_and_only_if_a_run_misses_it(result: GateResult) -> None:
    gate = result.gate
    missed = {
        check.threshold
        for run in result.runs
        for check in check_thresholds(run.run, gate)
        if check.state is CheckState.MISSED
    }
    checks = result.checks
    if checks:
        assert {check.threshold for check in checks if check.state is CheckState.MISSED} == missed
        assert [check.threshold for check in checks] == [check.threshold for check in check_thresholds(CIRun(), gate)]
    if result.decision is Decision.PASS:
        assert not missed
    (facts,) = build_report([result], a_context()).gates
    evaluated = result.decision.is_decided or facts.rule is Rule.PASS_WITHOUT_NUMBERS
    shown = {check.threshold for check in checks if check.state is CheckState.MISSED}
    assert {row.check.threshold for row in facts.missed} == (shown if evaluated else set())


@given(some_gates())
def test_a_cached_fail_shows_the_numbers_and_thresholds_of_the_first_run(result: GateResult) -> None:
    commits = (CommitResults(commit=COMMIT, results={}),)
    fail = State(commits=commits, fails=failures_of([result], EARLIER)).find_failure(result.gate, COMMIT)
    assert (fail is None) == (result.decision is not Decision.FAIL)
    if fail is None:
        return
    decided = compared_again(fail.decided, result.gate, Base(baseline=None))
    again = GateResult(gate=result.gate, blocks=True, decided=decided)
    assert summarize(again) == summarize(result)
    known = {CheckState.MET, CheckState.MISSED}
    assert [check for check in again.checks if check.state in known] == [
        check for check in result.checks if check.state in known
    ]
