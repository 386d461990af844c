"""What earlier runs left behind: it reads back as it was written, or it is not there."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sepurux_action.core import past
from sepurux_action.core.ci_run import MOST_COUNTED
from sepurux_action.core.enforcement import Stage
from sepurux_action.core.past import (
    LONGEST_CONTEXT,
    LONGEST_DESCRIPTION,
    LONGEST_MEMORY,
    MOST_GATES,
    MOST_RESULTS,
    Memory,
    Numbers,
    PastCommit,
    PastResult,
    as_told,
    describe,
    of_gate,
    read_description,
    status_context,
)
from sepurux_action.core.verdict import Decision
from tests.builders import COMMIT, a_result, states

EXAMPLES = settings(max_examples=300, deadline=None)

counts = st.none() | st.integers(0, MOST_COUNTED).map(float)
some_numbers = st.builds(
    Numbers,
    pass_rate=st.none() | st.floats(0, 1),
    unsafe=counts,
    failures=counts,
    score=st.none() | st.floats(0, 100),
)
some_results = st.builds(
    PastResult, decision=st.sampled_from(Decision), stage=st.sampled_from(Stage), numbers=some_numbers
)
some_commits = st.builds(
    PastCommit,
    commit=st.text("0123456789abcdef", min_size=40, max_size=40),
    results=st.dictionaries(st.text(min_size=1, max_size=80), some_results, max_size=3),
)
some_memories = st.builds(
    Memory,
    secret=st.text("abc", min_size=1, max_size=5),
    repository=st.sampled_from(["acme/shop", "acme/shop-2", "acme-shop/x"]),
    pull_request=st.integers(1, 9),
    key=st.text(min_size=1, max_size=80),
)

MEMORY = Memory(secret="s3cret", repository="acme/shop", pull_request=42, key="gates")
RESULT = of_gate(a_result())
JUDGED = PastCommit(commit=COMMIT, results={"refunds": RESULT})


# -- the description of a status --------------------------------------------------------------------------------------


def test_a_description_tells_decision_stage_and_the_four_numbers() -> None:
    assert (
        describe(replace(RESULT, stage=Stage.SOFT), "waits for a review")
        == "fail (soft): 72.0% passed, 1 unsafe, 5 failures, score 61.5; waits for a review"
    )


def test_what_is_not_known_is_a_dash() -> None:
    silent = PastResult(decision=Decision.PENDING, stage=Stage.HARD, numbers=Numbers())
    assert describe(silent) == "pending (hard): - passed, - unsafe, - failures, score -"


@pytest.mark.parametrize(
    ("rate", "shown"),
    [
        (0, "0.0%"),
        (0.5, "50.0%"),
        (0.8496, "84.96%"),
        (2 / 3, "66.67%"),
        (0.99996, "99.996%"),
        (0.00004, "0.004%"),
        (1, "100.0%"),
    ],
)
def test_a_description_rounds_to_two_digits_but_to_no_end_of_the_scale(rate: float, shown: str) -> None:
    described = describe(PastResult(decision=Decision.PASS, stage=Stage.HARD, numbers=Numbers(pass_rate=rate)))
    assert described == f"pass (hard): {shown} passed, - unsafe, - failures, score -"


@EXAMPLES
@given(some_results, st.text(max_size=200))
def test_a_description_has_at_most_140_characters_and_reads_back_as_what_it_shows(
    result: PastResult, remark: str
) -> None:
    described = describe(result, remark)
    read = read_description(described)
    assert len(described) <= LONGEST_DESCRIPTION
    assert described.isprintable()
    assert read is not None
    assert describe(read) == describe(result)
    assert (read.decision, read.stage) == (result.decision, result.stage)
    assert (read.numbers.unsafe, read.numbers.failures) == (result.numbers.unsafe, result.numbers.failures)


@EXAMPLES
@given(some_results)
def test_a_result_as_told_is_within_a_hundredth_of_a_point_and_told_again_the_same(result: PastResult) -> None:
    told = as_told(result)
    assert as_told(told) == told
    for near, exact, step in (
        (told.numbers.pass_rate, result.numbers.pass_rate, 0.00005),
        (told.numbers.score, result.numbers.score, 0.005),
    ):
        assert (near is None) == (exact is None)
        assert near is None or exact is None or abs(near - exact) <= step * 1.01


@pytest.mark.parametrize(
    "text",
    [
        None,
        7,
        "",
        "the evaluation is under way",
        "fail: 72.0% passed, 1 unsafe, 5 failures, score 61.5",
        "lost (hard): 72.0% passed, 1 unsafe, 5 failures, score 61.5",
        "fail (firm): 72.0% passed, 1 unsafe, 5 failures, score 61.5",
        "fail (hard): 72.0 passed, 1 unsafe, 5 failures, score 61.5",
        "fail (hard): 72% passed, 1 unsafe, 5 failures, score 61.5",
        "fail (hard): -% passed, 1 unsafe, 5 failures, score 61.5",
        "fail (hard): 172.0% passed, 1 unsafe, 5 failures, score 61.5",
        "fail (hard): 72.0% passed, 1 unsafe, 5 failures, score 161.5",
        "fail (hard): 072.0% passed, 1 unsafe, 5 failures, score 61.5",
        "fail (hard): 72.000% passed, 1 unsafe, 5 failures, score 61.5",
        "fail (hard): 72.0% passed, 1.5 unsafe, 5 failures, score 61.5",
        "fail (hard): 72.0% passed, -1 unsafe, 5 failures, score 61.5",
        "fail (hard): 72.0% passed, 1 unsafe, 05 failures, score 61.5",
        "fail (hard): 72.0% passed, 1 unsafe, 5 failures, score 61.5 ",
        "fail (hard): 72.0% passed, 1 unsafe, 5 failures, score 61.5\n",
        "fail (hard): ७२.0% passed, 1 unsafe, 5 failures, score 61.5",
        " fail (hard): 72.0% passed, 1 unsafe, 5 failures, score 61.5",
        "fail (hard): 72.0% passed, 1 unsafe, 5 failures, score 1e1",
        "fail (hard): 72.0% passed, 1 unsafe, 5 failures, score nan",
    ],
)
def test_a_text_that_is_not_written_so_is_no_result(text: object) -> None:
    assert read_description(text) is None


@EXAMPLES
@given(some_results, st.integers(0, 80), st.characters())
def test_a_changed_description_is_no_result_or_one_that_is_written_so(result: PastResult, at: int, new: str) -> None:
    described = describe(result)
    changed = described[:at] + new + described[at + 1 :]
    read = read_description(changed)
    assert read is None or changed == describe(read) or changed.startswith(f"{describe(read)}; ")


def test_a_result_that_is_no_verdict_on_the_agent_is_not_decided() -> None:
    decided = {decision for decision in Decision if replace(RESULT, decision=decision).decided}
    assert decided == {Decision.PASS, Decision.FAIL}


def test_the_numbers_of_a_gate_are_those_of_the_run_that_decides() -> None:
    ((gate,), _) = states()["traces"]
    assert of_gate(gate) == RESULT


def test_a_context_has_at_most_255_characters() -> None:
    assert status_context("Sepurux", "refunds") == "Sepurux / refunds"
    assert len(status_context("p" * 200, "g" * 200)) == LONGEST_CONTEXT


# -- the memory of a comment ------------------------------------------------------------------------------------------


@EXAMPLES
@given(some_memories, st.lists(some_commits, max_size=5))
def test_a_memory_reads_back_what_it_wrote_whatever_follows_it(memory: Memory, commits: list[PastCommit]) -> None:
    marker = memory.write(commits)
    assert marker.startswith(memory.marker)
    for body in (marker, f"{marker}\n\n## Report", f"{marker}\r\n\r\n## Report"):
        assert memory.read(body) == tuple(commits)


@EXAMPLES
@given(some_memories, st.lists(some_commits, max_size=3))
def test_a_marker_is_one_short_line_of_ascii_that_ends_the_comment_once(
    memory: Memory, commits: list[PastCommit]
) -> None:
    marker = memory.write(commits)
    assert marker.isascii()
    assert marker.isprintable()
    assert (marker.count("<!--"), marker.count("-->"), marker[-4:]) == (1, 1, " -->")
    assert "--!>" not in marker
    assert len(marker) <= LONGEST_MEMORY + 1_200  # a key of 80 characters has at most twelve times as many encoded


@EXAMPLES
@given(some_memories, some_memories)
def test_a_memory_is_read_in_its_own_place_only(one: Memory, other: Memory) -> None:
    assert (other.read(one.write([JUDGED])) != ()) == (one == other)


def test_a_repository_is_the_same_in_any_case_of_letters() -> None:
    assert replace(MEMORY, repository="Acme/Shop").read(MEMORY.write([JUDGED])) == (JUDGED,)


@EXAMPLES
@given(st.data(), st.characters())
def test_a_marker_with_any_one_character_changed_is_no_memory(data: st.DataObject, new: str) -> None:
    marker = MEMORY.write([JUDGED])
    at = data.draw(st.integers(0, len(marker) - 1))
    changed = marker[:at] + new + marker[at + 1 :]
    assert MEMORY.read(changed) == ((JUDGED,) if changed == marker else ())


@EXAMPLES
@given(st.text(max_size=100))
def test_any_other_body_is_no_memory(body: str) -> None:
    marker = MEMORY.write([JUDGED])
    for found in (body, MEMORY.marker + body, f"{MEMORY.marker}{body} -->", f"x{body}{marker}", f"{body}\n{marker}"):
        assert MEMORY.read(found) == ()


@pytest.mark.parametrize("secret", ["", "s3cre", "s3cret2"])
def test_without_the_secret_there_is_no_memory(secret: str) -> None:
    assert replace(MEMORY, secret=secret).read(MEMORY.write([JUDGED])) == ()


def test_without_a_secret_nothing_is_remembered_and_nothing_believed() -> None:
    unsigned = replace(MEMORY, secret="")
    assert COMMIT not in base64.b64decode(unsigned.write([JUDGED]).split()[2]).decode()
    assert unsigned.read(unsigned.write([JUDGED])) == ()


def test_the_newest_commits_are_kept() -> None:
    commits = [replace(JUDGED, commit=f"{number:040x}") for number in range(MOST_RESULTS + 5)]
    assert MEMORY.read(MEMORY.write(commits)) == tuple(commits[5:])


def test_however_many_and_long_the_names_are_the_newest_commit_is_kept() -> None:
    names = [f"{number:03}{'🜁' * 77}" for number in range(MOST_GATES + 10)]
    numbers = Numbers(pass_rate=1 / 3, unsafe=float(MOST_COUNTED), failures=float(MOST_COUNTED), score=100 / 3)
    result = PastResult(decision=Decision.PENDING, stage=Stage.OBSERVE, numbers=numbers)
    marker = MEMORY.write([PastCommit(commit=f"{n:040x}", results=dict.fromkeys(names, result)) for n in range(5)])
    assert len(marker.split()[2]) <= LONGEST_MEMORY
    (kept,) = MEMORY.read(marker)
    assert kept == PastCommit(commit=f"{4:040x}", results=dict.fromkeys(names[:MOST_GATES], result))


def signed(memory: object) -> str:
    """Return a marker that is signed as ours are, with any content; the signature is made from its description."""
    content = base64.b64encode(json.dumps(memory).encode()).decode()
    place = json.dumps([past.MARKER, MEMORY.repository, MEMORY.pull_request, MEMORY.key, content])
    signature = hmac.new(MEMORY.secret.encode(), place.encode(), hashlib.sha256).hexdigest()
    return f"{MEMORY.marker}{content} {signature} -->"


def packed(**changes: object) -> dict[str, object]:
    return {"v": 1, "commits": [[COMMIT, {"refunds": ["fail", "hard", 0.72, 1, 5, 61.5]}]], **changes}


def test_the_form_of_the_memory_is_version_1() -> None:
    assert MEMORY.read(signed(packed())) == (JUDGED,)


@pytest.mark.parametrize("memory", [None, [], 7, {}, packed(v=2), packed(v=None), packed(v=[]), packed(commits=None)])
def test_a_memory_of_another_form_is_none(memory: object) -> None:
    assert MEMORY.read(signed(memory)) == ()


@pytest.mark.parametrize(
    "commit", [None, [], [COMMIT], [COMMIT, {}, {}], ["main", {}], [COMMIT.upper(), {}], [7, {}], [[], {}]]
)
def test_a_commit_of_another_form_is_left_out(commit: object) -> None:
    assert MEMORY.read(signed(packed(commits=[commit]))) == ()


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
    assert MEMORY.read(signed(packed(commits=[[COMMIT, {"refunds": result}]]))) == (
        PastCommit(commit=COMMIT, results={}),
    )


@pytest.mark.parametrize("number", [None, "1", -1, True, [], 1e400, float("nan")])
def test_a_number_that_makes_no_sense_is_not_known(number: object) -> None:
    (commit,) = MEMORY.read(signed(packed(commits=[[COMMIT, {"refunds": ["fail", "hard", *[number] * 4]}]])))
    assert commit.results["refunds"].numbers == Numbers()


@pytest.mark.parametrize("content", ["[" * 20_000, '{"v": 1' + "0" * 5_000 + "}", "{", "\udcff"])
def test_content_that_cannot_be_read_is_none(content: str) -> None:
    encoded = base64.b64encode(content.encode(errors="surrogateescape")).decode()
    marker = f"{MEMORY.marker}{encoded} "
    place = json.dumps([past.MARKER, MEMORY.repository, MEMORY.pull_request, MEMORY.key, encoded])
    signature = hmac.new(MEMORY.secret.encode(), place.encode(), hashlib.sha256).hexdigest()
    assert MEMORY.read(f"{marker}{signature} -->") == ()
