"""Writes and reads the state that the comment's hidden last line keeps between runs: results, and what failed.

The line is signed, and a state that this version of the module did not write is ignored. Source: docs/security.md.
"""

import base64
import hmac
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple
from urllib.parse import quote

from sepurux_action.common import codec, json_reader
from sepurux_action.config.gate import Gate
from sepurux_action.evaluation.ci_run import CIRun
from sepurux_action.evaluation.decision import Decision, Rule, RunDecision, fingerprint
from sepurux_action.evaluation.failures import ClassifiedFailure, merge_failures
from sepurux_action.evaluation.gate_decision import GateDecision
from sepurux_action.evaluation.published_result import CommitResults
from sepurux_action.evaluation.result import Evaluated, GateResult, summarize
from sepurux_action.evaluation.runs import RunResult, Runs, WorkflowRun
from sepurux_action.github.snapshot import Comment

MAX_RESULTS = 20  # evaluated commits in one state
FEW_RESULTS = 5  # commits in a state that would be too long with more
MAX_DETAILS = 10  # tools, and kinds of failures, of one fail
MAX_TEXT = 200  # characters of a text
STATE_VERSION = 7  # another one if a field of a record has another meaning
MAX_STATE_LENGTH = 30_000  # characters of the marker's content; the comment has 65,000 for everything
MAX_UNPACKED_LENGTH = 1_000_000  # bytes; compressed data can grow a thousandfold
MARKER = "sepurux-gate"
_EVALUATING = re.compile(r"\A⏳ [^\n]*\n+")  # the line above a report on another commit
_SUMMARY = "<details><summary>Result of the earlier commit"
_COLLAPSED = re.compile(rf"\A### ❗ .*?\n{_SUMMARY}[^\n]*</summary>\n\n(.*?)\n*</details>\n*\Z", re.DOTALL)
_COMMIT = re.compile(r"/commit/([0-9a-f]{40,64})\)")
_SYMBOL = re.compile(r"\A### (\S+) ")
_LINK = re.compile(r"\[[^][\n]*\]\([^()\s]*/commit/[0-9a-f]{40,64}\)")
_ALERT = re.compile(r"^> \[![A-Z]+\]\n", re.MULTILINE)  # GitHub shows no alert within `<details>`


def fails_of(results: Iterable[GateResult], here: WorkflowRun) -> Mapping[str, Evaluated]:
    """Return what a report of the same `fail` needs, by gate: the decision, its numbers, and the run that decided.

    Reason and texts of failures are cut to 200 characters, tools and kinds of failures to the first 10. `here`
    evaluated each gate that no earlier workflow run did. One of which only the commit status is left is left out.
    """
    failed = (each for each in results if each.decision is Decision.FAIL)
    known = (each for each in failed if not each.recorded or each.recorded.run)
    return {each.gate.name: _kept(each, here) for each in known}


def unfinished_of(results: Iterable[GateResult], here: WorkflowRun) -> Mapping[str, Runs]:
    """Return the ids of all runs of the gates that are `pending`, which the next workflow run polls on: only once.

    A gate that uploads traces is left out, because each run has other recordings.
    """
    pending = (each for each in results if each.decision is Decision.PENDING)
    started_here = (each for each in pending if not any(run.earlier for run in each.runs))
    of_ids = (each for each in started_here if not any(trace.uploaded for trace in each.gate.traces))
    return {unfinished_key(each.gate): tuple(_ids(run, here) for run in each.runs) for each in of_ids}


def _ids(run: RunResult, earlier: WorkflowRun | None) -> RunResult:
    return RunResult(
        trace=run.trace,
        run_decision=RunDecision(decision=Decision.PENDING, reason="", rule=Rule.PENDING),
        ci_run=CIRun(run_ids=run.ci_run.run_ids),
        campaign_id=run.campaign_id,
        trace_id=run.trace_id,
        run_id=run.run_id,
        batch_id=run.batch_id,
        earlier=earlier,
    )


def unfinished_key(gate: Gate) -> str:
    return f"{fingerprint(gate)} {gate.name}"


def _kept(result: GateResult, here: WorkflowRun) -> Evaluated:
    worst, numbers, found = result.worst, result.numbers, result.what_failed
    kept, more = merge_failures(map(_cut_failure, found.failures), MAX_DETAILS)
    run = replace(
        _ids(worst, result.recorded.run if result.recorded else here),
        run_decision=RunDecision(worst.decision, "", worst.run_decision.rule),
        ci_run=CIRun(dashboard_url=worst.ci_run.dashboard_url, run_ids=worst.ci_run.run_ids[:MAX_DETAILS]),
    )
    reason = json_reader.shorten(result.reason, MAX_TEXT)
    shown = CIRun(
        numbers=numbers.numbers,
        mutation_categories=numbers.mutation_categories,
        top_failing_tools=numbers.top_failing_tools[:MAX_DETAILS],
        dashboard_url=numbers.dashboard_url,
    )
    return Evaluated.of(
        GateDecision.of(result, reason=reason, detail="", runs=(run,), scenarios=(), numbers=shown),
        what_failed=replace(found, scenarios=(), failures=kept, left_out=found.left_out + more, notes=()),
    )


def _cut_failure(failure: ClassifiedFailure) -> ClassifiedFailure:
    names = ("type", "severity", "description", "mutation")
    texts: dict[str, Any] = {name: json_reader.shorten(getattr(failure, name), MAX_TEXT) for name in names}
    return replace(failure, **texts, trace_id="", steps=())


class CommentParts(NamedTuple):
    """The parts of a comment: its first line, all of its text, the report in it, and its last line if it is signed.

    The report is on the `commit`, '' if no link at its end names one, and its title begins with the `symbol`.
    """

    marker: str
    all: str
    report: str
    state: str
    commit: str
    symbol: str

    @property
    def collapsed(self) -> bool:
        """Return whether the comment says that another commit was not evaluated."""
        return self.report != self.all


def parse_comment(body: str) -> CommentParts:
    marker, _, rest = body.partition("\n")
    text, state = rest, ""
    if (last := rest.rstrip().rpartition("\n"))[2].startswith(f"<!-- {MARKER}:"):
        text, state = f"{last[0]}\n", rest[len(last[0]) + 1 :]
    report = text = _EVALUATING.sub("", text)
    if collapsed := _COLLAPSED.match(text):
        report = f"{collapsed[1]}\n"
    commit = next(iter(_COMMIT.findall(report)[::-1]), "")
    return CommentParts(marker, text, report, state, commit, "".join(_SYMBOL.findall(report)))


def with_notice(body: str, notice: str, summary: str, most: int) -> str:
    """Return a comment with a line above its title, in place of an earlier one. If there is a `summary`, collapse it.

    Then the notice is the title and an alert on the present commit, in place of those of another commit that was not
    evaluated. If the comment would have more than `most` characters, only the link to the earlier commit is left of the
    report.
    """
    parts = parse_comment(body)
    if not summary:
        return f"{parts.marker}\n{notice}\n\n{parts.all}{parts.state}"
    report, links = _ALERT.sub("", parts.report, count=1).rstrip("\n"), _LINK.findall(parts.report)
    texts = (
        f"{parts.marker}\n{notice}\n\n{_SUMMARY} {summary}</summary>\n\n{each}\n\n</details>\n{parts.state}"
        for each in (report, *links[-1:])
    )
    return next((text for text in texts if len(text) <= most), body)


@dataclass(frozen=True, slots=True, kw_only=True)
class CommentState:
    """What a comment keeps: the results of the evaluated commits, the newest last, and details of the newest.

    These are what its `fails` show, by gate, and the `unfinished` runs of its gates that are `pending`. Neither decides
    anything: whether a gate failed is in the commit's statuses.
    """

    commits: tuple[CommitResults, ...] = ()
    fails: Mapping[str, Evaluated] = field(default_factory=dict)
    unfinished: Mapping[str, Runs] = field(default_factory=dict)

    def before(self, commit: str) -> tuple[CommitResults, ...]:
        """Return the results of the other commits, the oldest first."""
        return tuple(each for each in self.commits if each.commit != commit)

    def after(self, commit: str, results: Sequence[GateResult], here: WorkflowRun) -> "CommentState":
        """Return the state once the workflow run `here` has these results at a commit."""
        newest = CommitResults(commit=commit, results={each.gate.name: summarize(each) for each in results})
        return CommentState(
            commits=(*self.before(commit), newest),
            fails={**self.at(commit).fails, **fails_of(results, here)},
            unfinished=unfinished_of(results, here),
        )

    def at(self, commit: str) -> "CommentState":
        """Return the state if its details are about this commit, else an empty one."""
        return self if [commit] == [each.commit for each in self.commits[-1:]] else CommentState()

    def recorded_fail(self, gate: str, commit: str, link: str) -> Evaluated | None:
        """Return a gate's `fail` at this commit if it is kept, and its commit status has this link."""
        fail = self.at(commit).fails.get(gate)
        if fail is None or not link:
            return None
        kept = fail.worst.ci_run.dashboard_url or (fail.worst.earlier and fail.worst.earlier.url)
        return fail if kept == link else None


@dataclass(frozen=True, slots=True, kw_only=True)
class StateLine:
    """The comment that a state belongs to, which the signature covers. Without a `signing_key` no state is readable."""

    signing_key: str
    repository: str
    pull_request: int
    key: str

    @property
    def marker(self) -> str:
        """Return the first line of the comment, by which it is found."""
        return f"{self._start} -->"

    @property
    def _start(self) -> str:
        return f"<!-- {MARKER}:{quote(self.key, safe='', errors='surrogatepass')}"

    def ours(self, comments: Iterable[Comment]) -> tuple[Comment, ...]:
        """Return the comments with the marker, the oldest first; there is more than one after a race."""
        return tuple(each for each in comments if each.body.startswith(self.marker))

    def write(self, state: CommentState, before: str = "") -> str:
        """Return the last line, signed, with as much of the state as fits; that of the body `before` without a key."""
        if not self.signing_key:
            if kept := self._signed(before):
                return kept[0]
            return f"{self._start} {_packed(CommentState())} unsigned -->"
        return self._line(next(filter(None, map(_packed, _shorter(state)))))

    def _line(self, content: str) -> str:
        place = MARKER, STATE_VERSION, self.repository.lower(), self.pull_request, self.key
        return f"{self._start} {content} {codec.sign(self.signing_key, *place, content)} -->"

    def _signed(self, body: str) -> re.Match[str] | None:
        """Match the last line of a body: the content and a signature, which is not checked."""
        content = rf"([A-Za-z0-9+/=]{{1,{MAX_STATE_LENGTH}}}) [0-9a-f]{{64}}"
        return re.fullmatch(f"{re.escape(self._start)} {content} -->", body.rstrip().rpartition("\n")[2])

    def read(self, body: str) -> CommentState:
        """Return the state in a comment's body; an empty one if the body is not signed for this comment."""
        signed = self._signed(body)
        if not (signed and self.signing_key and hmac.compare_digest(signed[0], self._line(signed[1]))):
            return CommentState()
        try:
            unpacked = zlib.decompressobj().decompress(base64.b64decode(signed[1], validate=True), MAX_UNPACKED_LENGTH)
            return codec.load(CommentState, json.loads(unpacked))
        except (ValueError, RecursionError, zlib.error):
            return CommentState()


def _shorter(state: CommentState) -> Iterator[CommentState]:
    """Yield the state, then without older commits, then without what failed, then without unfinished runs.

    A commit that is left out costs a point of the trend, and an unfinished run costs a new evaluation.
    """
    for most in (MAX_RESULTS, FEW_RESULTS):
        yield CommentState(commits=state.commits[-most:], fails=state.fails, unfinished=state.unfinished)
    yield CommentState(commits=state.commits[-1:], unfinished=state.unfinished)
    yield CommentState(commits=state.commits[-1:])
    yield CommentState()


def _packed(state: CommentState) -> str:
    written = json.dumps(codec.dump(state), separators=(",", ":"), ensure_ascii=False)
    unpacked = written.encode(errors="surrogatepass")  # json.loads reads surrogates so
    if len(unpacked) > MAX_UNPACKED_LENGTH:
        return ""
    content = base64.b64encode(zlib.compress(unpacked, level=9)).decode()
    return content if len(content) <= MAX_STATE_LENGTH else ""
