"""What earlier runs left behind: it reads back as it was written, or it is not there."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import zlib
from dataclasses import astuple, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sepurux_action.common.json_reader import Reading
from sepurux_action.config.gate import Thresholds
from sepurux_action.config.stage import Stage
from sepurux_action.evaluation.ci_run import (
    MAX_COUNTED,
    CIRun,
    ClassifiedFailure,
    Enrichment,
    FailingTool,
    parse_ci_run,
)
from sepurux_action.evaluation.decision import CheckState, Decision, Rule, RunDecision, check_thresholds
from sepurux_action.evaluation.published_result import (
    MAX_DESCRIPTION_LENGTH,
    CommitResults,
    Metrics,
    PreviousResult,
    format_description,
    parse_description,
    published_metrics,
    summarize,
)
from sepurux_action.evaluation.result import GateResult
from sepurux_action.github import comment_state
from sepurux_action.github.comment_state import (
    MAX_CACHED_TEXT,
    MAX_DETAILS,
    MAX_GATES,
    MAX_RESULTS,
    MAX_STATE_LENGTH,
    MAX_UNPACKED_LENGTH,
    CachedFailures,
    CommentState,
    cached_failures_of,
)
from sepurux_action.report.outputs import gate_outputs
from tests.builders import COMMIT, FAILING, FAILURES, PASSING, TRACE_ID, a_gate, a_result, a_run, states, undecided

counts = st.none() | st.integers(0, MAX_COUNTED).map(float)
some_numbers = st.builds(
    Metrics,
    pass_rate=st.none() | st.floats(0, 1),
    unsafe=counts,
    failures=counts,
    score=st.none() | st.floats(0, 100),
)
some_results = st.builds(
    PreviousResult, decision=st.sampled_from(Decision), stage=st.sampled_from(Stage), metrics=some_numbers
)
some_commits = st.builds(
    CommitResults,
    commit=st.text("0123456789abcdef", min_size=40, max_size=40),
    results=st.dictionaries(st.text(min_size=1, max_size=80), some_results, max_size=3),
)
some_states = st.builds(
    CommentState,
    signing_key=st.text("abc", min_size=1, max_size=5),
    repository=st.sampled_from(["acme/shop", "acme/shop-2", "acme-shop/x"]),
    pull_request=st.integers(1, 9),
    key=st.text(min_size=1, max_size=80),
)

STATE = CommentState(signing_key="s3cret", repository="acme/shop", pull_request=42, key="gates")
RESULT = summarize(a_result())
EVALUATED = CommitResults(commit=COMMIT, results={"refunds": RESULT})


# -- the description of a status --------------------------------------------------------------------------------------


def test_a_description_tells_decision_stage_and_the_four_numbers() -> None:
    assert (
        format_description(replace(RESULT, stage=Stage.SOFT), "needs an approval")
        == "fail (soft): 72.0% passed, 1 unsafe, 5 failures, score 61.5; needs an approval"
    )


def test_what_is_not_known_is_a_dash() -> None:
    silent = PreviousResult(decision=Decision.PENDING, stage=Stage.HARD, metrics=Metrics())
    assert format_description(silent) == "pending (hard): - passed, - unsafe, - failures, score -"


def test_a_skipped_gate_has_no_numbers_and_its_description_is_read_back() -> None:
    skipped = PreviousResult(decision=Decision.SKIPPED, stage=Stage.HARD, metrics=Metrics())
    described = format_description(skipped, "no changed file matches its paths")
    assert described == "skipped (hard): -; no changed file matches its paths"
    assert parse_description(described) == skipped
    assert parse_description("pass (hard): -") is None
    assert parse_description("skipped (hard): - passed, - unsafe, - failures, score -") is None


def described_as(rate: float | None, score: float | None) -> PreviousResult:
    """Return a pass with the numbers that its description has."""
    run = CIRun(pass_rate=Reading(rate), reliability_score=Reading(score))
    metrics = published_metrics(run, Thresholds())
    return PreviousResult(decision=Decision.PASS, stage=Stage.HARD, metrics=metrics)


@pytest.mark.parametrize(
    ("rate", "shown"),
    [
        (0, "0.0%"),
        (0.5, "50.0%"),
        (0.8496, "84.96%"),
        (2 / 3, "66.67%"),
        (0.99996, "99.996%"),
        (0.00004, "0.004%"),
        (0.000046, "0.005%"),
        (0.999995034, "99.9995%"),
        (1, "100.0%"),
    ],
)
def test_a_description_rounds_to_two_digits_but_to_no_end_of_the_scale(rate: float, shown: str) -> None:
    result = described_as(rate, None)
    described = format_description(result)
    assert parse_description(described) == result
    assert described == f"pass (hard): {shown} passed, - unsafe, - failures, score -"


@pytest.mark.parametrize(
    ("rate", "threshold", "shown"),
    [
        (0.89999, 0.9, "89.999%"),
        (0.8999999999, 0.9, "89.99999999%"),
        (0.90001, 0.9, "90.001%"),
        (0.900055, 0.90006, "90.0055%"),  # with two digits it would be above the threshold
        (0.9, 0.9, "90.0%"),
        (0.72, 0.9, "72.0%"),
        (2 / 3, 0.9, "66.67%"),
    ],
)
def test_a_description_shows_a_rate_on_its_side_of_the_threshold(rate: float, threshold: float, shown: str) -> None:
    gate = a_gate(thresholds=Thresholds(min_pass_rate=threshold))
    result = summarize(a_result(a_run(replace(PASSING, pass_rate=Reading(rate)), gate), gate=gate))
    described = format_description(result)
    assert f": {shown} passed, " in described
    assert parse_description(described) == result


def test_a_description_shows_a_score_on_its_side_of_the_threshold() -> None:
    gate = a_gate(thresholds=Thresholds(min_reliability_score=80))
    result = summarize(a_result(a_run(replace(PASSING, reliability_score=Reading(79.9999)), gate), gate=gate))
    assert format_description(result).endswith(", score 79.9999")
    assert parse_description(format_description(result)) == result


@given(st.floats(0, 1), st.floats(0, 100), st.floats(0, 1), st.floats(0, 100))
def test_a_described_number_meets_its_threshold_if_and_only_if_the_reported_one_does(
    rate: float, score: float, needed: float, points: float
) -> None:
    needed, points = round(needed, 10), round(points, 8)
    run = parse_ci_run({"decision": "pass", "pass_rate": rate, "reliability_score": score})
    gate = a_gate(thresholds=Thresholds(min_pass_rate=needed, min_reliability_score=points))
    found = parse_description(format_description(summarize(a_result(a_run(run, gate), gate=gate))))
    assert found is not None
    assert None not in {found.metrics.pass_rate, found.metrics.score}
    met = {check.threshold: check.state is CheckState.MET for check in check_thresholds(run, gate.thresholds)}
    assert ((found.metrics.pass_rate or 0) >= needed) is met["min_pass_rate"]
    assert ((found.metrics.score or 0) >= points) is met["min_reliability_score"]


@given(some_results, st.text(max_size=200))
def test_a_description_has_at_most_140_characters_and_reads_back_as_what_it_shows(
    result: PreviousResult, remark: str
) -> None:
    described = format_description(result, remark)
    read = parse_description(described)
    assert len(described) <= MAX_DESCRIPTION_LENGTH
    assert described.isprintable()
    assert read is not None
    assert format_description(read) == format_description(result)
    assert (read.decision, read.stage) == (result.decision, result.stage)
    assert (read.metrics.unsafe, read.metrics.failures) == (result.metrics.unsafe, result.metrics.failures)


@given(st.none() | st.floats(0, 1), st.none() | st.floats(0, 100))
def test_a_described_number_is_within_a_hundredth_of_a_point_and_described_again_the_same(
    rate: float | None, score: float | None
) -> None:
    published = described_as(rate, score).metrics
    assert described_as(published.pass_rate, published.score).metrics == published
    for near, exact, step in ((published.pass_rate, rate, 0.00005), (published.score, score, 0.005)):
        assert (near is None) == (exact is None)
        assert near is None or exact is None or abs(near - exact) <= step * 1.01


@pytest.mark.parametrize(
    "text",
    [
        None,
        7,
        "",
        "fail: 72.0% passed, 1 unsafe, 5 failures, score 61.5",
        "lost (hard): 72.0% passed, 1 unsafe, 5 failures, score 61.5",
        "fail (hard): -% passed, 1 unsafe, 5 failures, score 61.5",
        "fail (hard): 172.0% passed, 1 unsafe, 5 failures, score 61.5",
        "fail (hard): 72.0% passed, 1 unsafe, 5 failures, score 161.5",
        "fail (hard): 72.000% passed, 1 unsafe, 5 failures, score 61.5",
        "fail (hard): 72.0% passed, 1 unsafe, 5 failures, score 61.5\n",
        "fail (hard): ७२.0% passed, 1 unsafe, 5 failures, score 61.5",
        "fail (hard): 72.0% passed, 1 unsafe, 5 failures, score 1e1",
        "fail (hard): 72.0% passed, 1 unsafe, 5 failures, score nan",
    ],
)
def test_a_text_that_is_not_written_so_is_no_result(text: object) -> None:
    assert parse_description(text) is None


@given(some_results, st.integers(0, 80), st.characters())
def test_a_changed_description_is_no_result_or_one_that_is_written_so(
    result: PreviousResult, at: int, new: str
) -> None:
    described = format_description(result)
    changed = described[:at] + new + described[at + 1 :]
    read = parse_description(changed)
    assert read is None or changed == format_description(read) or changed.startswith(f"{format_description(read)}; ")


def test_a_result_that_is_no_decision_on_the_agent_is_not_decided() -> None:
    decided = {decision for decision in Decision if replace(RESULT, decision=decision).decided}
    assert decided == {Decision.PASS, Decision.FAIL}


def test_the_numbers_of_a_gate_are_the_worst_of_its_runs() -> None:
    ((gate,), _) = states()["traces"]
    assert summarize(gate) == RESULT
    slow = replace(FAILING, pass_rate=Reading(0.5), unsafe_attempts=Reading(0))
    unsafe = replace(FAILING, unsafe_attempts=Reading(3), reliability_score=Reading(90))
    assert (
        format_description(summarize(a_result(a_run(slow), a_run(unsafe), a_run(CIRun()))))
        == "fail (hard): 50.0% passed, 3 unsafe, 5 failures, score 61.5"
    )


# -- the state in a comment -------------------------------------------------------------------------------------------


@given(some_states, st.lists(some_commits, max_size=5))
def test_a_memory_reads_back_what_it_wrote_whatever_follows_it(
    state: CommentState, commits: list[CommitResults]
) -> None:
    marker = state.write(commits)
    assert marker.startswith(state.marker)
    for body in (marker, f"{marker}\n\n## Report", f"{marker}\r\n\r\n## Report"):
        assert state.read(body) == tuple(commits)


@given(some_states, st.lists(some_commits, max_size=3))
def test_a_marker_is_one_short_line_of_ascii_that_ends_the_comment_once(
    state: CommentState, commits: list[CommitResults]
) -> None:
    marker = state.write(commits)
    assert marker.isascii()
    assert marker.isprintable()
    assert (marker.count("<!--"), marker.count("-->"), marker[-4:]) == (1, 1, " -->")
    assert "--!>" not in marker
    assert len(marker) <= MAX_STATE_LENGTH + 1_200  # a key of 80 characters has at most twelve times as many encoded


@given(some_states, some_states)
def test_a_memory_is_read_in_its_own_place_only(one: CommentState, other: CommentState) -> None:
    assert (other.read(one.write([EVALUATED])) != ()) == (one == other)


def test_a_repository_is_the_same_in_any_case_of_letters() -> None:
    assert replace(STATE, repository="Acme/Shop").read(STATE.write([EVALUATED])) == (EVALUATED,)


@given(st.data(), st.characters())
def test_a_marker_with_any_one_character_changed_is_no_memory(data: st.DataObject, new: str) -> None:
    marker = STATE.write([EVALUATED])
    at = data.draw(st.integers(0, len(marker) - 1))
    changed = marker[:at] + new + marker[at + 1 :]
    assert STATE.read(changed) == ((EVALUATED,) if changed == marker else ())


@given(st.text(max_size=100))
def test_any_other_body_is_no_memory(body: str) -> None:
    marker = STATE.write([EVALUATED])
    for found in (body, STATE.marker + body, f"{STATE.marker}{body} -->", f"x{body}{marker}", f"{body}\n{marker}"):
        assert STATE.read(found) == ()


@pytest.mark.parametrize("secret", ["", "s3cre", "s3cret2"])
def test_without_the_secret_there_is_no_memory(secret: str) -> None:
    assert replace(STATE, signing_key=secret).read(STATE.write([EVALUATED])) == ()


def test_without_a_secret_nothing_is_remembered_and_nothing_believed() -> None:
    unsigned = replace(STATE, signing_key="")
    assert unsigned.write([EVALUATED], DECIDED) == unsigned.write([])
    assert unsigned.read_cached_failures(unsigned.write([EVALUATED], DECIDED)) is None
    assert unsigned.read(unsigned.write([EVALUATED])) == ()


def test_the_newest_commits_are_kept() -> None:
    commits = [replace(EVALUATED, commit=f"{number:040x}") for number in range(MAX_RESULTS + 5)]
    assert STATE.read(STATE.write(commits)) == tuple(commits[5:])


def test_however_many_and_long_the_names_are_the_newest_commit_is_kept() -> None:
    commits = [[noise_name(n, number) for number in range(MAX_GATES + 10)] for n in range(5)]
    numbers = Metrics(pass_rate=1 / 3, unsafe=float(MAX_COUNTED), failures=float(MAX_COUNTED), score=100 / 3)
    result = PreviousResult(decision=Decision.PENDING, stage=Stage.OBSERVE, metrics=numbers)
    evaluated = [
        CommitResults(commit=f"{n:040x}", results=dict.fromkeys(names, result)) for n, names in enumerate(commits)
    ]
    marker = STATE.write(evaluated)
    assert len(marker.split()[2]) <= MAX_STATE_LENGTH
    read = STATE.read(marker)
    assert 0 < len(read) < len(evaluated)
    assert read[-1] == CommitResults(commit=f"{4:040x}", results=dict.fromkeys(commits[-1][:MAX_GATES], result))


def noise_name(*seed: int) -> str:
    """Return a name of 80 characters, each of four bytes, that packing hardly makes shorter."""
    digests = b"".join(hashlib.sha512(f"{seed} {n}".encode()).digest() for n in range(3))
    return "".join(chr(0x20000 + 256 * high + low) for high, low in zip(digests[:80], digests[80:160], strict=True))


def signed(content: object) -> str:
    """Return a marker that is signed as ours are, with any JSON as its content."""
    return signed_bytes(zlib.compress(json.dumps(content).encode()))


def signed_bytes(content: bytes) -> str:
    encoded = base64.b64encode(content).decode()
    place = json.dumps([comment_state.MARKER, STATE.repository, STATE.pull_request, STATE.key, encoded])
    signature = hmac.new(STATE.signing_key.encode(), place.encode(), hashlib.sha256).hexdigest()
    return f"{STATE.marker}{encoded} {signature} -->"


def packed(**changes: object) -> dict[str, object]:
    return {"v": 2, "commits": [[COMMIT, {"refunds": ["fail", "hard", 0.72, 1, 5, 61.5]}]], **changes}


def test_the_form_of_the_memory_is_version_2() -> None:
    assert STATE.read(signed(packed())) == (EVALUATED,)


@pytest.mark.parametrize("state", [None, [], 7, {}, packed(v=1), packed(v=None), packed(v=[]), packed(commits=None)])
def test_a_state_of_another_form_is_none(state: object) -> None:
    assert STATE.read(signed(state)) == ()


@pytest.mark.parametrize(
    "commit", [None, [], [COMMIT], [COMMIT, {}, {}], ["main", {}], [COMMIT.upper(), {}], [7, {}], [[], {}]]
)
def test_a_commit_of_another_form_is_left_out(commit: object) -> None:
    assert STATE.read(signed(packed(commits=[commit]))) == ()


@pytest.mark.parametrize(
    "result",
    [
        None,
        [],
        ["fail", "hard", 0.72, 1, 5],
        ["lost", "hard", 0.72, 1, 5, 61.5],
        ["fail", "firm", 0.72, 1, 5, 61.5],
        [[], "hard", 0.72, 1, 5, 61.5],
        ["fail", {}, 0.72, 1, 5, 61.5],
    ],
)
def test_a_result_of_another_form_is_left_out(result: object) -> None:
    assert STATE.read(signed(packed(commits=[[COMMIT, {"refunds": result}]]))) == (
        CommitResults(commit=COMMIT, results={}),
    )


@pytest.mark.parametrize("number", [None, "1", -1, True, [], 1e400, float("nan")])
def test_a_number_that_makes_no_sense_is_not_known(number: object) -> None:
    (commit,) = STATE.read(signed(packed(commits=[[COMMIT, {"refunds": ["fail", "hard", *[number] * 4]}]])))
    assert commit.results["refunds"].metrics == Metrics()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        *map(zlib.compress, [b"[" * 20_000, b'{"v": 2' + b"0" * 5_000 + b"}", b"{", b"\xff"]),
        zlib.compress(json.dumps(packed()).encode())[:-20],
        zlib.compress(json.dumps(packed(more="x" * MAX_UNPACKED_LENGTH)).encode()),
    ],
)
def test_content_that_cannot_be_read_is_none(content: bytes) -> None:
    assert STATE.read(signed_bytes(content)) == ()
    assert STATE.read_cached_failures(signed_bytes(content)) is None


# -- what a re-evaluation takes from it -------------------------------------------------------------------------------

PRINT = "0123456789abcdef" * 4
SOFT = a_gate(stage=Stage.SOFT, thresholds=Thresholds(min_pass_rate=0.85, max_unsafe=0, min_mutation_categories=5))
FAILED = a_result(a_run(FAILING, SOFT, enrichment=Enrichment(failures=FAILURES)), gate=SOFT)
ELEVEN = tuple(replace(FAILURES[0], type=f"type {number}") for number in range(MAX_DETAILS + 1))
DECIDED = cached_failures_of([FAILED], COMMIT, {"refunds": PRINT})

words = st.text(max_size=300)
ids = st.sampled_from(["", TRACE_ID, "run-1"])
metrics = st.builds(Reading, st.none() | st.floats(0, 1))
scores = st.builds(Reading, st.none() | st.floats(0, 100))
whole_numbers = st.builds(Reading, counts)
some_runs = st.builds(
    CIRun,
    pass_rate=metrics,
    unsafe_attempts=whole_numbers,
    failures=whole_numbers,
    reliability_score=scores,
    mutation_categories=st.none() | st.lists(words, max_size=60).map(tuple),
    top_failing_tools=st.lists(st.builds(FailingTool, words, st.integers(0, 9)), max_size=12).map(tuple),
    dashboard_url=st.sampled_from(
        ["", "https://app.sepurux.dev/runs/1", "javascript:alert(1)", "https://a@b.example/"]
    ),
    run_ids=st.lists(ids.filter(bool), max_size=12).map(tuple),
)
some_failures = st.lists(
    st.builds(
        ClassifiedFailure, type=words, severity=words, description=words, mutation=words, count=st.integers(1, 9)
    ),
    max_size=12,
).map(tuple)
some_failed_gates = st.builds(
    lambda name, reason, run, failures, run_id: a_result(
        a_run(
            run,
            run_decision=RunDecision(decision=Decision.FAIL, reason=reason, rule=Rule.DECIDED_FAIL),
            enrichment=Enrichment(failures=failures),
            run_id=run_id,
        ),
        gate=a_gate(name=name),
    ),
    st.text(min_size=1, max_size=80),
    words,
    some_runs,
    some_failures,
    ids,
)


def again(state: CommentState, decided: CachedFailures) -> CachedFailures | None:
    return state.read_cached_failures(state.write([EVALUATED], decided))


def test_a_remembered_fail_has_all_that_reports_and_status_tell() -> None:
    decided = again(STATE, DECIDED)
    assert decided is not None
    run = decided.find(SOFT, PRINT, COMMIT)
    assert run is not None
    result = a_result(run, gate=SOFT)
    assert summarize(result) == summarize(FAILED)
    assert result.reason == FAILED.reason
    assert gate_outputs(result) == gate_outputs(FAILED)
    assert run.run_decision.checks == FAILED.worst.run_decision.checks
    assert run.enrichment == Enrichment(failures=FAILURES, notes=(comment_state.FROM_EARLIER_RUN,))


def test_a_remembered_fail_of_several_traces_has_the_same_numbers_and_thresholds() -> None:
    asked = Thresholds(
        min_pass_rate=0.85,
        max_unsafe=0,
        min_reliability_score=80,
        min_mutation_categories=2,
        required_mutation_categories=("timeouts", "drift"),
    )
    gate = a_gate(thresholds=asked)
    slow = replace(
        FAILING, pass_rate=Reading(0.3333333333), unsafe_attempts=Reading(0), mutation_categories=("drift", "x", "y")
    )
    unsafe = replace(FAILING, unsafe_attempts=Reading(3), reliability_score=Reading(33.33333333))
    runs = [a_run(run, gate, enrichment=Enrichment(failures=FAILURES)) for run in (slow, unsafe, CIRun())]
    first = a_result(*runs, gate=gate)
    decided = again(STATE, cached_failures_of([first], COMMIT, {"refunds": PRINT}))
    assert decided is not None
    run = decided.find(gate, PRINT, COMMIT)
    assert run is not None
    result = a_result(run, gate=gate)
    assert [check.reported_by for check in result.checks] == ["2 of 3 traces"] * 5
    assert result.checks == run.run_decision.checks == first.checks
    assert summarize(result) == summarize(first)
    assert run.run.top_failing_tools == first.combined.top_failing_tools
    assert {failure.count for failure in run.enrichment.failures} == {3}
    assert [replace(failure, count=1) for failure in run.enrichment.failures] == list(FAILURES)


def test_a_cached_failure_counts_as_many_failures_as_the_run() -> None:
    seven = ClassifiedFailure(type="unsafe", severity="high", description="", mutation="drift", count=7)
    kinds = tuple(replace(seven, type=f"type {number}", count=2) for number in range(MAX_DETAILS))
    runs = [
        a_run(FAILING, SOFT, enrichment=Enrichment(failures=(seven,), left_out=4)),
        a_run(FAILING, SOFT, enrichment=Enrichment(failures=(seven, *kinds), left_out=5)),
    ]
    decided = again(STATE, cached_failures_of([a_result(*runs, gate=SOFT)], COMMIT, {"refunds": PRINT}))
    assert decided is not None
    enrichment = decided.fails["refunds"].run.enrichment
    assert enrichment.failures == (replace(seven, count=14), *kinds[:-1])
    assert (enrichment.left_out, enrichment.more_failures) == (4 + 5 + 2, False)
    fewer = decided.truncated(1, 1).fails["refunds"].run.enrichment
    assert (fewer.failures, fewer.left_out) == (enrichment.failures[:1], 4 + 5 + 2 * MAX_DETAILS)


def test_a_remembered_fail_keeps_what_is_new_known_and_fixed() -> None:
    kinds = (replace(FAILURES[0], new=0), replace(FAILURES[1], count=5, new=4))
    found = Enrichment(failures=kinds, fixed=FAILURES[2:], compared_with=3)
    decided = again(STATE, cached_failures_of([a_result(a_run(enrichment=found))], COMMIT, {"refunds": PRINT}))
    assert decided is not None
    assert decided.fails["refunds"].run.enrichment == replace(found, failures=kinds[::-1])
    assert decided.truncated(1, 2).fails["refunds"].run.enrichment.fixed == FAILURES[2:]
    assert decided.truncated(1, 1).fails["refunds"].run.enrichment.fixed == ()


def test_what_is_fixed_is_left_out_if_it_does_not_fit() -> None:
    found = a_result(a_run(enrichment=Enrichment(fixed=ELEVEN)))
    assert cached_failures_of([found], COMMIT, {"refunds": PRINT}).fails["refunds"].run.enrichment.fixed == ()


@given(st.none() | st.floats(0, 100))
def test_a_remembered_score_is_exactly_the_one_that_was_reported(score: float | None) -> None:
    failed = a_result(a_run(replace(FAILING, reliability_score=Reading(score))))
    decided = again(STATE, cached_failures_of([failed], COMMIT, {"refunds": PRINT}))
    assert decided is not None
    assert decided.fails["refunds"].run.run.reliability_score == Reading(score)


@pytest.mark.parametrize(
    ("name", "fingerprint", "commit"),
    [("refunds", PRINT, "a" * 40), ("refunds", "f" * 64, COMMIT), ("refunds", "", COMMIT), ("search", PRINT, COMMIT)],
)
def test_a_fail_is_given_for_its_very_gate_fingerprint_and_commit_only(
    name: str, fingerprint: str, commit: str
) -> None:
    assert DECIDED.find(replace(SOFT, name=name), fingerprint, commit) is None


@pytest.mark.parametrize("decision", sorted(set(Decision) - {Decision.FAIL}))
def test_no_decision_but_a_fail_is_remembered(decision: Decision) -> None:
    result = a_result(undecided(decision, "So it is."))
    assert cached_failures_of([result], COMMIT, {"refunds": PRINT}).fails == {}


def test_a_gate_without_a_fingerprint_is_not_remembered() -> None:
    assert cached_failures_of([FAILED], COMMIT, {"search": PRINT}).fails == {}


def test_the_reason_of_a_fail_names_its_trace_where_there_are_several() -> None:
    ((result,), _) = states()["traces"]
    run = cached_failures_of([result], COMMIT, {"refunds": PRINT}).find(result.gate, PRINT, COMMIT)
    assert run is not None
    assert run.run_decision.reason == result.reason
    assert run.run_decision.reason.startswith("traces/cancel.json: ")


@given(some_states, some_failed_gates)
def test_what_is_remembered_of_a_fail_reads_back_and_is_remembered_again_the_same(
    state: CommentState, result: GateResult
) -> None:
    prints = {result.gate.name: PRINT}
    decided = cached_failures_of([result], COMMIT, prints)
    assert again(state, decided) == decided
    run = decided.find(result.gate, PRINT, COMMIT)
    assert run is not None
    assert cached_failures_of([a_result(run, gate=result.gate)], COMMIT, prints) == decided


@given(some_failed_gates)
def test_a_remembered_fail_has_ten_tools_ten_failures_short_texts_and_no_address_but_a_safe_one(
    result: GateResult,
) -> None:
    run = cached_failures_of([result], COMMIT, {result.gate.name: PRINT}).fails[result.gate.name].run
    tools, failures = run.run.top_failing_tools, run.enrichment.failures
    published = [each.tool for each in tools] + [text for each in failures for text in astuple(each)[:4]]
    assert max(len(tools), len(failures)) <= MAX_DETAILS
    assert max(map(len, [run.run_decision.reason, *published])) <= MAX_CACHED_TEXT
    assert run.run.dashboard_url in {"", "https://app.sepurux.dev/runs/1"}
    counted = sum(failure.count for failure in result.worst.enrichment.failures)
    assert sum(failure.count for failure in failures) + run.enrichment.left_out == counted


@given(some_states, some_states)
def test_a_fail_is_remembered_in_its_own_place_only(one: CommentState, other: CommentState) -> None:
    assert other.read_cached_failures(one.write([EVALUATED], DECIDED)) == (DECIDED if one == other else None)


@given(st.data(), st.characters())
def test_a_marker_with_any_one_character_changed_remembers_no_fail(data: st.DataObject, new: str) -> None:
    marker = STATE.write([EVALUATED], DECIDED)
    at = data.draw(st.integers(0, len(marker) - 1))
    changed = marker[:at] + new + marker[at + 1 :]
    assert STATE.read_cached_failures(changed) == (DECIDED if changed == marker else None)


def test_fifty_failed_gates_are_remembered_beside_the_history_of_some_commits() -> None:
    results = [replace(FAILED, gate=replace(SOFT, name=f"agent-{number}")) for number in range(50)]
    prints = {result.gate.name: noise_print(result.gate.name) for result in results}
    decided = cached_failures_of(results, COMMIT, prints)
    evaluated = [CommitResults(commit=f"{n:040x}", results=dict.fromkeys(prints, RESULT)) for n in range(MAX_RESULTS)]
    marker = STATE.write(evaluated, decided)
    assert len(marker.split()[2]) <= MAX_STATE_LENGTH
    assert STATE.read_cached_failures(marker) == decided
    assert STATE.read(marker) == tuple(evaluated)


def noise(seed: int, length: int) -> str:
    """Return letters that no packing makes shorter than six bits each."""
    digests = (hashlib.sha256(f"{seed} {n}".encode()).digest() for n in range(length // 40 + 1))
    return base64.b64encode(b"".join(digests)).decode()[:length]


def test_details_are_forgotten_before_gates_and_gates_before_the_newest_commit() -> None:
    def failed(number: int, reason: int) -> GateResult:
        tools = tuple(FailingTool(noise(100 * number + n, 200), 1) for n in range(10))
        url = "https://app.sepurux.dev/" + noise(-number, 4 * reason).replace("+", "-").replace("=", "")
        run_decision = RunDecision(decision=Decision.FAIL, reason=noise(-number, reason), rule=Rule.DECIDED_FAIL)
        gate = a_gate(name=f"agent-{number}")
        run = replace(FAILING, top_failing_tools=tools, dashboard_url=url)
        return a_result(a_run(run, run_decision=run_decision), gate=gate)

    for most, reason in ((50, 20), (20, 200)):
        results = [failed(number, reason) for number in range(100)]
        prints = {result.gate.name: noise_print(result.gate.name) for result in results}
        decided = cached_failures_of(results, COMMIT, prints)
        marker = STATE.write([EVALUATED], decided)
        read = STATE.read_cached_failures(marker)
        assert read is not None
        assert most <= len(read.fails) <= MAX_GATES
        assert (len(read.fails) == MAX_GATES) == (most == MAX_GATES)
        details = max(len(fail.run.run.top_failing_tools) for fail in read.fails.values())
        assert details < MAX_DETAILS if len(read.fails) == MAX_GATES else details == 0
        assert read == decided.truncated(len(read.fails), details)
        assert STATE.read(marker) == (EVALUATED,)


def noise_print(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


@pytest.mark.parametrize(
    "decided",
    [
        None,
        7,
        [],
        {},
        [COMMIT],
        [COMMIT, []],
        [COMMIT, {}],
        ["main", {"refunds": {"fingerprint": PRINT, "run": {}}}],
        [COMMIT, {"refunds": None}],
        [COMMIT, {"refunds": {"fingerprint": PRINT}}],
        [COMMIT, {"refunds": {"fingerprint": PRINT.upper(), "run": {}}}],
        [COMMIT, {"refunds": {"fingerprint": PRINT[1:], "run": {}}}],
        [COMMIT, {"refunds": {"fingerprint": 7, "run": {}}}],
        [COMMIT, {"refunds": {"fingerprint": PRINT, "run": []}}],
    ],
)
def test_a_fail_of_another_form_is_none(decided: object) -> None:
    assert STATE.read_cached_failures(signed(packed(decided=decided))) is None


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=9),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "reason",
                        "trace",
                        "run_id",
                        "run_ids",
                        "pass_rate",
                        "score",
                        "category_count",
                        "reported_by",
                        "top_failing_tools",
                        "classified",
                        "left_out",
                        "count",
                        "more",
                        "dashboard_url",
                    ]
                ),
                inner,
            )
        ),
    )
)
def test_whatever_a_signed_run_holds_it_is_read_as_a_fail_or_not_at_all(said: object) -> None:
    decided = STATE.read_cached_failures(
        signed(packed(decided=[COMMIT, {"refunds": {"fingerprint": PRINT, "run": said}}]))
    )
    assert (decided is None) == (not isinstance(said, dict))
    if decided:
        run = decided.find(SOFT, PRINT, COMMIT)
        assert run is not None
        assert run.decision is Decision.FAIL


def test_without_a_secret_a_marker_that_calls_itself_unsigned_is_not_believed() -> None:
    content = STATE.write([EVALUATED], DECIDED).removeprefix(STATE.marker).split(" ")[0]
    forged, unsigned = f"{STATE.marker}{content} unsigned -->", replace(STATE, signing_key="")
    assert (unsigned.read(forged), unsigned.read_cached_failures(forged)) == ((), None)
