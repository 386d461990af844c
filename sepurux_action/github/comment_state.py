"""Writes and reads the state that the comment's hidden first line keeps between runs: results and cached failures.

The line is signed, and a state that this module did not write is ignored. Source: contract, section 8.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from itertools import chain
from typing import Any
from urllib.parse import quote

from sepurux_action.common import json_reader
from sepurux_action.config.gate import Gate
from sepurux_action.config.stage import Stage
from sepurux_action.evaluation.ci_run import (
    MAX_COUNTED,
    CIRun,
    ClassifiedFailure,
    Enrichment,
    merge_failures,
    parse_ci_run,
    parse_failures,
)
from sepurux_action.evaluation.decision import Decision, Rule, RunDecision, check_thresholds, next_step
from sepurux_action.evaluation.published_result import CommitResults, Metrics, PreviousResult
from sepurux_action.evaluation.result import GateResult, RunResult
from sepurux_action.github.event import SHA

MAX_RESULTS = 20  # evaluated commits in one state
MAX_GATES = 50  # of one commit, so that the newest commit always fits; a larger step loses the others
MAX_DETAILS = 10  # tools, and kinds of failures, of one cached failure (contract, section 8)
MAX_CATEGORIES = 50  # of one cached failure, the required ones first; of the others only the number is kept
MAX_CACHED_TEXT = 200  # characters of a text
STATE_VERSION = 2
MAX_STATE_LENGTH = 30_000  # characters of the marker's content; the comment has 65,000 for everything
MAX_UNPACKED_LENGTH = 250_000  # bytes; compressed data can grow a thousandfold
MARKER = "sepurux-gate"
FROM_EARLIER_RUN = "This result is that of an earlier run of this commit, which was not evaluated again."

# The fields of a run that are numbers.
_METRICS = (
    *("pass_rate", "unsafe_attempts", "failures", "reliability_score"),
    *("fewest_categories", "mutation_coverage", "scenario_coverage"),
)

_FINGERPRINT = re.compile(r"[0-9a-f]{64}")


# -- cached failures --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedFailure:
    """A gate's `fail`, and the fingerprint of the evaluation that it came from.

    `run` is the run that decided, with the combined numbers of all runs of the gate.
    """

    fingerprint: str
    run: RunResult


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedFailures:
    """The gates that failed on one commit, by name. Other decisions are not cached: a `pass` needs an evaluation."""

    commit: str
    fails: Mapping[str, CachedFailure]

    def find(self, gate: Gate, fingerprint: str, commit: str) -> RunResult | None:
        """Return the run of the gate's `fail` if commit and fingerprint are the same, else None.

        Its thresholds are checked again with the cached numbers, and a note says that nothing was evaluated.
        """
        fail = self.fails.get(gate.name)
        if fail is None or (commit, fingerprint) != (self.commit, fail.fingerprint):
            return None
        checks = tuple(check_thresholds(fail.run.run, gate.thresholds))
        return replace(
            fail.run,
            run_decision=replace(fail.run.run_decision, checks=checks),
            enrichment=replace(fail.run.enrichment, notes=(FROM_EARLIER_RUN,)),
        )

    def truncated(self, gates: int, details: int) -> CachedFailures:
        """Return at most `gates` failures, each with at most `details` tools and kinds of failures."""
        fails = {
            name: replace(fail, run=_with_details(fail.run, details)) for name, fail in list(self.fails.items())[:gates]
        }
        return replace(self, fails=fails)


def cached_failures_of(results: Iterable[GateResult], commit: str, fingerprints: Mapping[str, str]) -> CachedFailures:
    """Return what to cache of the gates that failed; `fingerprints` are by gate name.

    Texts are cut to 200 characters, tools and kinds of failures to the first 10.
    """
    fails = {}
    for result in results:
        fingerprint = fingerprints.get(result.gate.name, "")
        if result.decision is Decision.FAIL and fingerprint:
            run = replace(
                result.worst,
                run=_with_required_first(result),
                run_decision=replace(result.worst.run_decision, reason=result.reason),
                enrichment=_combined_failures(result.ranked),
            )
            run = _load_failure(_dump_failure(run))
            fails[result.gate.name] = CachedFailure(fingerprint=fingerprint, run=run)
    return CachedFailures(commit=commit, fails=fails)


def _with_required_first(result: GateResult) -> CIRun:
    """Return the combined numbers with the required mutation categories first, because only some are kept."""
    run, required = result.combined, result.gate.thresholds.required_mutation_categories
    if run.mutation_categories is None:
        return run
    names = sorted(run.mutation_categories, key=lambda name: name not in required)
    return replace(run, mutation_categories=tuple(names), fewest_categories=run.category_count)


def _combined_failures(runs: Sequence[RunResult]) -> Enrichment:
    """Return the failures of all runs of a gate: at most MAX_DETAILS kinds, with the number of the others.

    What is fixed is left out if it does not fit: a part of it would have another count.
    """
    every = chain.from_iterable(run.enrichment.failures for run in runs)
    failures, left_out = merge_failures(map(_cut_failure, every), MAX_DETAILS)
    fixed, more_fixed = merge_failures(
        (_cut_failure(failure) for run in runs for failure in run.enrichment.fixed), MAX_DETAILS
    )
    return Enrichment(
        failures=failures,
        left_out=left_out + sum(run.enrichment.left_out for run in runs),
        more_failures=any(run.enrichment.more_failures for run in runs),
        fixed=() if more_fixed else fixed,
        compared_with=sum(run.enrichment.compared_with for run in runs),
    )


def _cut_failure(failure: ClassifiedFailure) -> ClassifiedFailure:
    return ClassifiedFailure(
        type=_cut(failure.type),
        severity=_cut(failure.severity),
        description=_cut(failure.description),
        mutation=_cut(failure.mutation),
        count=failure.count,
        new=failure.new,
    )


def _with_details(run: RunResult, most: int) -> RunResult:
    more = run.enrichment
    left_out = more.left_out + sum(failure.count for failure in more.failures[most:])
    return replace(
        run,
        run=replace(run.run, top_failing_tools=run.run.top_failing_tools[:most]),
        enrichment=replace(
            more,
            failures=more.failures[:most],
            left_out=left_out,
            fixed=more.fixed if len(more.fixed) <= most else (),
        ),
    )


# -- the state in a comment -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class CommentState:
    """The comment that a state belongs to, which the signature covers. Without a `signing_key` there is no state."""

    signing_key: str
    repository: str
    pull_request: int
    key: str

    @property
    def marker(self) -> str:
        """Return the beginning of the comment."""
        return f"<!-- {MARKER}:{quote(self.key, safe='', errors='surrogatepass')} "

    def write(self, commits: Sequence[CommitResults], failures: CachedFailures | None = None) -> str:
        """Return the signed marker, one line, with as much as fits of the commits (the newest last) and failures."""
        states = _shrunk(commits, failures) if self.signing_key else _shrunk((), None)
        content = next(filter(None, (_packed(*state) for state in states)), "")
        return f"{self.marker}{content} {self._signature(content)} -->"

    def read(self, body: str) -> tuple[CommitResults, ...]:
        """Return the commits in a comment's body; none if the body is not signed for this comment."""
        return tuple(_load_commits(self._content(body).get("commits")))

    def read_cached_failures(self, body: str) -> CachedFailures | None:
        """Return the failed gates in a comment's body; None if there are none or it is not signed for this comment."""
        return _load_cached_failures(self._content(body).get("decided"))

    def _content(self, body: str) -> Mapping[str, object]:
        line = body.split("\n", 1)[0].removesuffix("\r")
        if not self.signing_key or not line.startswith(self.marker) or not line.endswith(" -->"):
            return {}
        content, _, signature = line[len(self.marker) : -len(" -->")].partition(" ")
        if len(content) > MAX_STATE_LENGTH or not hmac.compare_digest(
            signature.encode(errors="replace"), self._signature(content).encode()
        ):
            return {}
        return _unpacked(content)

    def _signature(self, content: str) -> str:
        if not self.signing_key:
            return "unsigned"
        signed = json.dumps([MARKER, self.repository.lower(), self.pull_request, self.key, content]).encode()
        return hmac.new(self.signing_key.encode(), signed, hashlib.sha256).hexdigest()


def _shrunk(
    commits: Sequence[CommitResults], failures: CachedFailures | None
) -> Iterator[tuple[Sequence[CommitResults], CachedFailures | None]]:
    """Yield the state without the oldest commits, then without details, then without failures, one after the other.

    A commit that is left out costs a point of the trend, a failure costs another evaluation.
    """
    newest = commits[-1:]
    for most in range(MAX_RESULTS, 1, -1):
        yield commits[-most:], failures
    for details in range(MAX_DETAILS, 0, -1):
        yield newest, failures and failures.truncated(MAX_GATES, details)
    for gates in range(MAX_GATES, -1, -1):
        yield newest, failures and failures.truncated(gates, 0)
    yield (), None


def _packed(commits: Iterable[CommitResults], failures: CachedFailures | None) -> str:
    """Return the marker's content, or '' if it is too long."""
    results = [
        [commit.commit, {name: _dump_result(result) for name, result in list(commit.results.items())[:MAX_GATES]}]
        for commit in commits
    ]
    state: dict[str, object] = {"v": STATE_VERSION, "commits": results}
    if failures and failures.fails:
        fails = {
            name: {"fingerprint": fail.fingerprint, "run": _dump_failure(fail.run)}
            for name, fail in failures.fails.items()
        }
        state["decided"] = [failures.commit, fails]
    written = json.dumps(state, separators=(",", ":"), ensure_ascii=False)
    unpacked = written.encode(errors="surrogatepass")  # json.loads reads surrogates so
    if len(unpacked) > MAX_UNPACKED_LENGTH:
        return ""
    content = base64.b64encode(zlib.compress(unpacked, level=9)).decode()
    return content if len(content) <= MAX_STATE_LENGTH else ""


def _unpacked(content: str) -> Mapping[str, object]:
    try:
        unpacked = zlib.decompressobj().decompress(base64.b64decode(content, validate=True), MAX_UNPACKED_LENGTH)
        state = json_reader.as_object(json.loads(unpacked))
    except (ValueError, RecursionError, zlib.error):
        return {}
    return state if state.get("v") == STATE_VERSION else {}


def _dump_result(result: PreviousResult) -> list[object]:
    metrics = result.metrics
    return [
        *(result.decision.value, result.stage.value),
        *(metrics.pass_rate, metrics.unsafe, metrics.failures, metrics.score),
    ]


def _load_commits(value: object) -> Iterator[CommitResults]:
    for item in list(json_reader.as_array(value))[:MAX_RESULTS]:
        commit, gates = _load_commit(item)
        if commit:
            results = {name: _load_result(value) for name, value in gates.items()}
            yield CommitResults(commit=commit, results={n: r for n, r in results.items() if r is not None})


def _load_commit(value: object) -> tuple[str, Mapping[str, object]]:
    """Return a commit's SHA and a value for each gate by name; '' if `value` is no such pair."""
    pair = list(json_reader.as_array(value))
    if len(pair) == 2 and isinstance(pair[0], str) and SHA.match(pair[0]):  # noqa: PLR2004 - a pair
        return pair[0], json_reader.as_object(pair[1])
    return "", {}


def _load_result(value: object) -> PreviousResult | None:
    parts = list(json_reader.as_array(value))
    if len(parts) != 6 or not _is_word(parts[0], Decision) or not _is_word(parts[1], Stage):  # noqa: PLR2004 - as dumped
        return None
    rate = json_reader.number(parts[2], low=0, high=1).value
    unsafe, failures = (json_reader.number(part, low=0, whole=True).value for part in parts[3:5])
    score = json_reader.number(parts[5], low=0, high=100).value
    return PreviousResult(
        decision=Decision(str(parts[0])),
        stage=Stage(str(parts[1])),
        metrics=Metrics(pass_rate=rate, unsafe=unsafe, failures=failures, score=score),
    )


def _load_cached_failures(value: object) -> CachedFailures | None:
    commit, gates = _load_commit(value)
    fails = {}
    for name, fail in list(gates.items())[:MAX_GATES]:
        entry = json_reader.as_object(fail)
        fingerprint, run = entry.get("fingerprint"), entry.get("run")
        if isinstance(fingerprint, str) and _FINGERPRINT.fullmatch(fingerprint) and isinstance(run, dict):
            fails[name] = CachedFailure(fingerprint=fingerprint, run=_load_failure(run))
    return CachedFailures(commit=commit, fails=fails) if fails else None


def _dump_failure(result: RunResult) -> dict[str, object]:
    """Return a run in the format of the backend's responses, so that the same parser validates it.

    The score has a name of its own: the backend's `reliability_score` may be a fraction, this one never is.
    """
    run, enrichment = result.run, result.enrichment
    categories = run.mutation_categories
    return {
        "reason": _cut(result.run_decision.reason),
        "rule": int(result.run_decision.rule),
        "trace": _cut(result.trace),
        "campaign_id": result.campaign_id,
        "trace_id": result.trace_id,
        "run_id": result.run_id,
        "batch_id": result.batch_id,
        "run_ids": list(run.run_ids[:MAX_DETAILS]),
        "dashboard_url": run.dashboard_url,
        "pass_rate": run.pass_rate.value,
        "unsafe_attempts": run.unsafe_attempts.value,
        "failures": run.failures.value,
        "score": run.reliability_score.value,
        "mutation_coverage_score": run.mutation_coverage.value,
        "scenario_coverage_pct": run.scenario_coverage.value,
        "trace_count": run.trace_count.value,
        "category_count": run.category_count.value,
        "mutation_categories": None if categories is None else list(map(_cut, categories[:MAX_CATEGORIES])),
        "reported_by": {
            name: reading.reported_by for name in _METRICS if (reading := getattr(run, name)) and reading.reported_by
        },
        "top_failing_tools": [
            {"tool": _cut(each.tool), "count": each.count} for each in run.top_failing_tools[:MAX_DETAILS]
        ],
        "classified": list(map(asdict, enrichment.failures)),
        "left_out": enrichment.left_out,
        "more": enrichment.more_failures,
        "fixed": list(map(asdict, enrichment.fixed)),
        "compared_with": enrichment.compared_with,
    }


def _load_failure(body: Mapping[str, object]) -> RunResult:
    run = parse_ci_run({**body, "run_id": None})  # the id belongs to the result; `run_ids` are those of a batch
    run = _with_combined(run.with_score(json_reader.number(body.get("score"), low=0, high=100)), body)
    numbers = (body.get("left_out"), body.get("compared_with"))
    left_out, compared_with = (json_reader.number(each, low=0, high=MAX_COUNTED, whole=True) for each in numbers)
    reason = _cut(json_reader.text(body.get("reason")))
    rules = {Rule.PASS_CONTRADICTED, Rule.DROPPED}
    rule = next((each for each in rules if body.get("rule") == each), Rule.DECIDED_FAIL)
    run_decision = RunDecision(decision=Decision.FAIL, reason=reason, rule=rule)
    return RunResult(
        trace=_cut(json_reader.text(body.get("trace"))),
        run_decision=run_decision,
        hint=next_step(run_decision),
        run=run,
        campaign_id=json_reader.identifier(body.get("campaign_id")),
        trace_id=json_reader.identifier(body.get("trace_id")),
        run_id=json_reader.identifier(body.get("run_id")),
        batch_id=json_reader.identifier(body.get("batch_id")),
        enrichment=Enrichment(
            failures=tuple(_load_failures(body.get("classified"))),
            left_out=int(left_out.value or 0),
            more_failures=body.get("more") is True,
            fixed=tuple(_load_failures(body.get("fixed"))),
            compared_with=int(compared_with.value or 0),
        ),
    )


def _load_failures(value: object) -> Iterator[ClassifiedFailure]:
    for item in list(json_reader.as_array(value))[:MAX_DETAILS]:
        body = json_reader.as_object(item)
        count = json_reader.number(body.get("count"), low=1, high=MAX_COUNTED, whole=True).value or 1
        new = json_reader.number(body.get("new"), low=0, high=count, whole=True).value
        for failure in parse_failures([item]):
            yield replace(failure, count=int(count), new=None if new is None else int(new))


def _with_combined(run: CIRun, body: Mapping[str, object]) -> CIRun:
    """Return the run with what no response of the backend has: category count, and which runs report each number."""
    count = json_reader.number(body.get("category_count"), low=0, whole=True)
    reported_by = json_reader.as_object(body.get("reported_by"))
    run = replace(run, fewest_categories=None if count.value is None else count)
    changes: dict[str, Any] = {
        name: replace(reading, reported_by=_cut(runs))
        for name in _METRICS
        if (reading := getattr(run, name)) and (runs := json_reader.text(reported_by.get(name)))
    }
    return replace(run, **changes)


def _cut(text: str) -> str:
    return json_reader.shorten(json_reader.printable(text), MAX_CACHED_TEXT)


def _is_word(value: object, words: type[StrEnum]) -> bool:
    return isinstance(value, str) and value in set(words)
