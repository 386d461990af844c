"""What earlier runs left behind: it reads back as it was written, or it is not there."""

import base64
import hashlib
import hmac
import json
import zlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sepurux_action.config.gate import Trace
from sepurux_action.config.policy_parser import MAX_GATES_IN_STEP
from sepurux_action.config.stage import Stage
from sepurux_action.evaluation.ci_run import CIRun, FailingTool
from sepurux_action.evaluation.decision import Decision
from sepurux_action.evaluation.failures import ClassifiedFailure, OnBase
from sepurux_action.evaluation.published_result import CommitResults
from sepurux_action.evaluation.result import GateResult, RecordedFail, summarize
from sepurux_action.evaluation.runs import WhatFailed
from sepurux_action.github import comment_state
from sepurux_action.github.comment_state import MAX_DETAILS, CommentState, StateLine, fails_of, unfinished_of
from sepurux_action.github.publisher import MAX_COMMENT_LENGTH
from sepurux_action.github.snapshot import Comment
from sepurux_action.report.outputs import gate_outputs
from sepurux_action.report.view import COMMENT_CHARACTERS
from tests.builders import (
    COMMIT,
    EARLIER,
    FAILING,
    FAILURES,
    a_gate,
    a_result,
    a_run,
    run_with,
    states,
    undecided,
)

some_places = st.builds(
    StateLine,
    signing_key=st.text("abc", min_size=1, max_size=5),
    repository=st.sampled_from(["acme/shop", "acme/shop-2", "acme-shop/x"]),
    pull_request=st.integers(1, 9),
    key=st.text(min_size=1, max_size=80),
)

PLACE = StateLine(signing_key="s3cret", repository="acme/shop", pull_request=42, key="gates")
RESULT = summarize(a_result())
some_commits = st.builds(
    CommitResults,
    commit=st.text("0123456789abcdef", min_size=40, max_size=40),
    results=st.dictionaries(st.text(min_size=1, max_size=80), st.just(RESULT), max_size=3),
)
EVALUATED = CommitResults(commit=COMMIT, results={"refunds": RESULT})
SOFT = a_gate(stage=Stage.SOFT, limits={"min_pass_rate": 0.85, "max_unsafe": 0, "min_mutation_categories": 5})
FAILED = a_result(a_run(FAILING), what_failed=WhatFailed(failures=FAILURES), gate=SOFT)
RECORDED = fails_of([FAILED], EARLIER)
STATE = CommentState(commits=(EVALUATED,), fails=RECORDED)


@given(some_places, st.lists(some_commits, max_size=5))
def test_a_state_reads_back_from_one_short_line_of_ascii(place: StateLine, commits: list[CommitResults]) -> None:
    state = CommentState(commits=tuple(commits), fails=RECORDED)
    written = place.write(state)
    for body in (written, f"## Report\n{written}", f"{place.marker}\r\n## Report\r\n{written}\r\n"):
        assert place.read(body) == state
    assert written.isascii()
    assert written.isprintable()
    assert (written.count("<!--"), written.count("-->"), written[-4:]) == (1, 1, " -->")
    assert "--!>" not in written
    most = comment_state.MAX_STATE_LENGTH + 1_200  # a key of 80 characters has at most twelve times as many encoded
    assert len(written) <= most


@given(some_places, some_places)
def test_a_state_is_read_only_from_its_own_repository_pull_request_and_key(one: StateLine, other: StateLine) -> None:
    assert other.read(one.write(STATE)) == (STATE if one == other else CommentState())
    assert replace(one, repository=one.repository.upper()).read(one.write(STATE)) == STATE


@given(st.data(), st.characters())
def test_a_marker_with_any_one_character_changed_is_ignored(data: st.DataObject, new: str) -> None:
    marker = PLACE.write(STATE)
    at = data.draw(st.integers(0, len(marker) - 1))
    changed = marker[:at] + new + marker[at + 1 :]
    assert PLACE.read(changed) == (STATE if changed == marker else CommentState())


@given(st.text(max_size=100))
def test_any_other_body_has_no_state(body: str) -> None:
    marker = PLACE.write(STATE)
    for found in (body, PLACE.marker + body, f"{PLACE.marker}{body} -->", f"{marker}{body}x", f"{marker}\n{body}x"):
        assert PLACE.read(found) == CommentState()


@pytest.mark.parametrize("secret", ["", "s3cre", "s3cret2"])
def test_with_another_secret_or_without_one_no_state_is_read(secret: str) -> None:
    other, content = replace(PLACE, signing_key=secret), PLACE.write(STATE).split(" ")[2]
    assert other.read(PLACE.write(STATE)) == CommentState()
    assert other.read(f"<!-- sepurux-gate:gates {content} unsigned -->") == CommentState()
    assert other.read(signed(base64.b64decode(content), key="")) == CommentState()


def test_without_a_secret_no_state_is_written_and_the_old_last_line_stays_if_it_has_the_form_of_a_signed_one() -> None:
    unsigned, signed_line = replace(PLACE, signing_key=""), PLACE.write(STATE)
    assert unsigned.write(STATE) == unsigned.write(CommentState())
    assert unsigned.write(CommentState(), f"{PLACE.marker}\nreport\n{signed_line}") == signed_line
    for other in ("", "report", f"{signed_line} @octocat", signed_line.replace(":gates", ":others")):
        assert unsigned.write(CommentState(), f"{PLACE.marker}\n{other}") == unsigned.write(CommentState())


def test_the_comment_of_a_gate_whose_name_begins_alike_is_not_ours() -> None:
    mine, other = (Comment(id=1, body=replace(PLACE, key=key).marker) for key in ("refunds", "refunds-2"))
    assert replace(PLACE, key="refunds").ours([mine, other]) == (mine,)


def signed(content: bytes, version: int = comment_state.STATE_VERSION, key: str = PLACE.signing_key) -> str:
    """Return a marker that is signed as ours are, with any content."""
    encoded = base64.b64encode(content).decode()
    place = [comment_state.MARKER, version, PLACE.repository, PLACE.pull_request, PLACE.key]
    signature = hmac.new(key.encode(), json.dumps([*place, encoded]).encode(), hashlib.sha256)
    return f"<!-- sepurux-gate:gates {encoded} {signature.hexdigest()} -->"


def test_a_state_of_another_version_is_ignored() -> None:
    content = base64.b64decode(PLACE.write(STATE).split(" ")[2])
    assert PLACE.read(signed(content)) == STATE
    assert PLACE.read(signed(content, comment_state.STATE_VERSION + 1)) == CommentState()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        *map(zlib.compress, [b"[" * 20_000, b'{"commits": ' + b"0" * 5_000 + b"}", b"{", b"\xff", b"[]", b'{"v": 2}']),
        zlib.compress(b'{"commits": []}')[:-10],
        zlib.compress(b'{"commits": []' + b" " * comment_state.MAX_UNPACKED_LENGTH + b"}"),
    ],
)
def test_signed_content_that_cannot_be_read_is_ignored(content: bytes) -> None:
    assert PLACE.read(signed(content)) == CommentState()


words = st.lists(st.text(max_size=9).map(lambda text: text * 40), min_size=1, max_size=12)


def a_fail_with(texts: list[str], counts: list[int]) -> GateResult:
    """Return a `fail` with a tool, a category, and a failure for each of these texts, which are foreign."""
    counted = tuple(zip(texts, counts, strict=False))
    run = run_with(
        FAILING,
        mutation_categories=tuple(texts),
        top_failing_tools=tuple(FailingTool(text, count) for text, count in counted),
        run_ids=tuple(f"r-{n}" for n in range(len(texts))),
    )
    failures = tuple(
        ClassifiedFailure(type=text, severity=text[1:], description=text[2:], mutation=text[3:], count=count)
        for text, count in counted
    )
    result = a_result(a_run(run), what_failed=WhatFailed(failures=failures))
    return replace(result, reason=texts[0])


some_failed_gates = st.builds(a_fail_with, words, st.lists(st.integers(1, 9), min_size=12, max_size=12))


def random_text(seed: object, length: int) -> str:
    """Return characters of four bytes each that zlib hardly makes shorter."""
    digest = hashlib.shake_256(str(seed).encode()).digest(2 * length)
    return "".join(chr(0x20000 + 256 * high + low) for high, low in zip(digest[::2], digest[1::2], strict=True))


def a_long_state(gates: int, *, name: int, text: int) -> CommentState:
    """Return the state of 25 commits with gates whose names and texts have these lengths."""
    texts = [[random_text((n, number), text) for n in range(MAX_DETAILS)] for number in range(gates)]
    fails = [a_fail_with(each, list(range(1, MAX_DETAILS + 1))) for each in texts]
    results = [replace(each, gate=a_gate(name=random_text((n, "name"), name))) for n, each in enumerate(fails)]
    commits = tuple(
        CommitResults(
            commit=hashlib.sha1(str(n).encode(), usedforsecurity=False).hexdigest(),
            results={each.gate.name: replace(RESULT, numbers={"pass_rate": 1 / n}) for each in results},
        )
        for n in range(3, comment_state.MAX_RESULTS + 8)
    )
    return CommentState(commits=commits, fails=fails_of(results, EARLIER))


@pytest.mark.parametrize(
    ("gates", "name", "text", "commits", "fails"),
    [(1, 80, 20, 20, 1), (20, 30, 20, 5, 20), (MAX_GATES_IN_STEP, 80, 200, 1, 0)],
)
def test_older_commits_are_left_out_before_what_failed_and_the_newest_commit_never(
    gates: int, name: int, text: int, commits: int, fails: int
) -> None:
    state = a_long_state(gates, name=name, text=text)
    marker = PLACE.write(state)
    assert len(marker.split()[2]) <= comment_state.MAX_STATE_LENGTH
    read = PLACE.read(marker)
    assert read.commits == state.commits[-commits:]
    assert dict(read.fails) == {key: fail for key, fail in state.fails.items() if fails}


def recorded(result: GateResult) -> GateResult:
    """Return what a later workflow run on the same gate and commit finds in the comment."""
    state = CommentState(commits=(EVALUATED,), fails=fails_of([result], EARLIER))
    assert PLACE.read(PLACE.write(state)) == state
    found = state.recorded_fail(result.gate.name, COMMIT, result.worst.ci_run.dashboard_url or EARLIER.url)
    assert found is not None
    return GateResult.of(found, gate=result.gate, blocks=True)


OF_TRACES = states()["traces"][0][0]


@pytest.mark.parametrize("first", [FAILED, OF_TRACES], ids=["batch", "traces"])
def test_a_recorded_fail_has_all_that_reports_and_status_show(first: GateResult) -> None:
    result = recorded(first)
    assert summarize(result) == summarize(first)
    assert (result.reason, result.checks) == (first.reason, first.checks)
    outputs = [gate_outputs(replace(each, blocks=True)) | {"trace_id": ""} for each in (result, first)]
    assert outputs[0] == outputs[1]
    assert result.numbers.top_failing_tools == first.numbers.top_failing_tools
    assert result.what_failed == replace(first.what_failed, scenarios=())


def test_a_recorded_fail_keeps_what_is_new_and_what_is_known() -> None:
    kinds = (
        replace(FAILURES[0], on_base=OnBase(2, 5, 1.5, 2)),
        replace(FAILURES[1], count=5, on_base=OnBase(0, 5, 1, 0)),
    )
    kept = recorded(a_result(a_run(), what_failed=WhatFailed(failures=kinds))).what_failed
    assert kept == WhatFailed(failures=kinds[::-1])


LINK = FAILING.dashboard_url


@pytest.mark.parametrize(
    ("gate", "commit", "link"),
    [("refunds", "a" * 40, LINK), ("search", COMMIT, LINK), ("refunds", COMMIT, f"{LINK}-2"), ("refunds", COMMIT, "")],
)
def test_what_failed_is_found_only_for_its_own_commit_gate_and_link(gate: str, commit: str, link: str) -> None:
    assert STATE.recorded_fail("refunds", COMMIT, LINK) is not None
    assert STATE.recorded_fail(gate, commit, link) is None


def test_all_runs_of_a_pending_batch_are_kept_because_each_may_have_a_score() -> None:
    batch = CIRun(run_ids=tuple(f"r-{n}" for n in range(300)))
    pending = replace(undecided(Decision.PENDING, "No decision."), ci_run=batch, batch_id="b")
    unfinished = unfinished_of([a_result(pending, gate=a_gate(traces=(Trace(label="all"),)))], EARLIER)
    [[kept]] = PLACE.read(PLACE.write(CommentState(unfinished=unfinished))).unfinished.values()
    assert kept.ci_run == batch


def test_only_a_fail_of_which_more_than_the_status_is_left_is_recorded() -> None:
    others = [a_result(undecided(decision, "So it is.")) for decision in set(Decision) - {Decision.FAIL}]
    others.append(replace(FAILED, recorded=RecordedFail(link=LINK)))
    ((name, fail),) = fails_of([*others, OF_TRACES], EARLIER).items()
    assert (name, fail.reason) == (OF_TRACES.gate.name, OF_TRACES.reason)


@given(some_failed_gates)
def test_a_fail_that_is_read_from_a_comment_is_recorded_again_the_same(result: GateResult) -> None:
    assert recorded(recorded(result)) == recorded(result)


@given(some_failed_gates)
def test_a_recorded_fail_has_ten_tools_ten_failures_and_short_texts(result: GateResult) -> None:
    found = recorded(result)
    tools, failures = found.numbers.top_failing_tools, found.what_failed.failures
    published = [text for each in failures for text in (each.type, each.mutation, each.severity, each.description)]
    assert max(len(tools), len(failures), len(found.numbers.run_ids)) <= MAX_DETAILS
    assert max(map(len, [found.reason, *published])) <= comment_state.MAX_TEXT
    kept = found.what_failed.left_out + sum(each.count for each in failures)
    assert kept == sum(each.count for each in result.what_failed.failures)


REPORT = f"### ❌ `g` failed\n\n> [!CAUTION]\n> **Blocked.** Fix it.\n\n[`aaaaaaa`](https://x.dev/commit/{'a' * 40})\n"
BODY = f"<!-- sepurux-gate:g -->\n{REPORT}<!-- sepurux-gate:g e30= {'0' * 64} -->"
COLLAPSED = REPORT.replace("> [!CAUTION]\n", "")


def shown(body: str) -> tuple[str, str, bool]:
    parts = comment_state.parse_comment(body)
    return parts.commit, parts.symbol, parts.collapsed


def test_a_commit_that_was_not_evaluated_is_the_title_and_the_next_one_replaces_it() -> None:
    one = comment_state.with_notice(BODY, "### ❗ one", "was failed", 1_000)
    assert one == (
        "<!-- sepurux-gate:g -->\n### ❗ one\n\n<details><summary>Result of the earlier commit was failed</summary>\n\n"
        f"{COLLAPSED}\n</details>\n<!-- sepurux-gate:g e30= {'0' * 64} -->"
    )
    assert shown(BODY) == ("a" * 40, "❌", False)
    assert shown(one) == ("a" * 40, "❌", True)
    waiting = comment_state.with_notice(one, "⏳ Evaluating two", "", 1_000)
    assert waiting == one.replace("\n", "\n⏳ Evaluating two\n\n", 1)
    assert shown(waiting) == shown(one)
    assert comment_state.with_notice(waiting, "### ❗ two", "was failed", 1_000) == one.replace("❗ one", "❗ two")
    unsigned = comment_state.with_notice("<!-- sepurux-gate:g -->\ntext", "⏳ Now", "", 1_000)
    assert unsigned == "<!-- sepurux-gate:g -->\n⏳ Now\n\ntext"


def test_a_report_that_would_make_the_comment_too_long_leaves_its_commit() -> None:
    assert (MAX_COMMENT_LENGTH, COMMENT_CHARACTERS) == (65_000, 65_000)
    for body in (BODY, comment_state.with_notice(BODY, "### ❗ one", "x", 1_000)):
        short = comment_state.with_notice(body, "### ❗ one", "x", 300)
        assert len(short) <= 300
        assert "Blocked" not in short
        assert shown(short) == ("a" * 40, "", True)
        assert comment_state.with_notice(body, "### ❗ one", "x", 100) == body
