"""Owns what earlier runs left behind: a decided status's description, the comment's memory; never trusts either.

Sources: contract, section 8 (the description's form, the marker's signed content). What does not read back exactly
as this module writes it is not there.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import quote

from sepurux_action.core import figures, wire
from sepurux_action.core.enforcement import Stage
from sepurux_action.core.event import SHA
from sepurux_action.core.gate import GateResult
from sepurux_action.core.verdict import Decision

LONGEST_DESCRIPTION = 140  # characters; GitHub answers 422 beyond
LONGEST_CONTEXT = 255
MOST_RESULTS = 20  # judged commits that a comment remembers
MOST_GATES = 50  # of one commit, so that the newest commit always fits; the rest of a very large step is forgotten
MEMORY_VERSION = 1
LONGEST_MEMORY = 30_000  # characters of the marker's content; the comment has 65,000 for all
MARKER = "sepurux-gate"

_COUNT = r"-|\d{1,16}"  # a backend's largest is 2**53
_DESCRIPTION = re.compile(
    r"(?P<decision>pass|fail|error|pending|skipped) \((?P<stage>observe|soft|hard)\): "
    r"(?P<rate>-|\d{1,3}\.\d{1,10}%) passed, "
    rf"(?P<unsafe>{_COUNT}) unsafe, (?P<failures>{_COUNT}) failures, "
    r"score (?P<score>-|\d{1,3}\.\d{1,10})(?:; .*)?",
    re.ASCII | re.DOTALL,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """The four numbers that are compared over time. `pass_rate` is a fraction, `score` 0 to 100; None is unknown."""

    pass_rate: float | None = None
    unsafe: float | None = None
    failures: float | None = None
    score: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PastResult:
    """What one gate decided on one commit."""

    decision: Decision
    stage: Stage
    numbers: Numbers

    @property
    def decided(self) -> bool:
        """Return whether there was a verdict on the agent."""
        return self.decision in {Decision.PASS, Decision.FAIL}


@dataclass(frozen=True, slots=True, kw_only=True)
class PastCommit:
    """The results of one judged commit, by the gates' names."""

    commit: str
    results: Mapping[str, PastResult]


def of_gate(result: GateResult) -> PastResult:
    """Return what is remembered of a gate's result: that of the run that decides."""
    run = result.worst.run
    numbers = Numbers(
        pass_rate=run.pass_rate.value,
        unsafe=run.unsafe_attempts.value,
        failures=run.failures.value,
        score=run.reliability_score.value,
    )
    return PastResult(decision=result.decision, stage=result.gate.stage, numbers=numbers)


# -- the description of a commit status -------------------------------------------------------------------------------


def status_context(prefix: str, gate: str) -> str:
    """Return the context of a gate's status: `<prefix> / <name>`."""
    return f"{prefix} / {gate}"[:LONGEST_CONTEXT]


def describe(past: PastResult, remark: str = "") -> str:
    """Return the description of a decided status, at most 140 characters; `remark` is cut where there is no room."""
    numbers = past.numbers
    rate = "-" if numbers.pass_rate is None else _of_hundred(numbers.pass_rate * 100) + "%"
    score = "-" if numbers.score is None else _of_hundred(numbers.score)
    text = (
        f"{past.decision} ({past.stage}): {rate} passed, {_whole(numbers.unsafe)} unsafe, "
        f"{_whole(numbers.failures)} failures, score {score}"
    )
    if said := wire.printable(remark):
        text += f"; {said}"
    return text if len(text) <= LONGEST_DESCRIPTION else text[: LONGEST_DESCRIPTION - 1] + "…"


def read_description(text: object) -> PastResult | None:
    """Return the result that a description tells, or None for a text that `describe` does not write."""
    if not isinstance(text, str) or (found := _DESCRIPTION.fullmatch(text)) is None:
        return None
    rate, unsafe, failures, score = (
        None if found[name] == "-" else float(found[name].rstrip("%"))
        for name in ("rate", "unsafe", "failures", "score")
    )
    if max(rate or 0, score or 0) > 100:  # noqa: PLR2004 - the scale's end
        return None
    numbers = Numbers(
        pass_rate=None if rate is None else round(rate / 100, figures.MOST_DIGITS + 2),
        unsafe=unsafe,
        failures=failures,
        score=score,
    )
    past = PastResult(decision=Decision(found["decision"]), stage=Stage(found["stage"]), numbers=numbers)
    return past if describe(past) == text.partition(";")[0] else None


def as_told(past: PastResult) -> PastResult:
    """Return the result as a later run reads it in the status: what two results compare by.

    A description rounds; a result held against it would differ where nothing has changed.
    """
    return read_description(describe(past)) or past


# -- the memory of a comment ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Where a memory belongs, which its signature binds; `secret` signs it ('' can neither sign nor read)."""

    secret: str
    repository: str
    pull_request: int
    key: str

    @property
    def marker(self) -> str:
        """Return the beginning of the comment that holds it."""
        return f"<!-- {MARKER}:{quote(self.key, safe='', errors='surrogatepass')} "

    def write(self, commits: Iterable[PastCommit]) -> str:
        """Return the whole marker, one line: the newest commits that fit, the newest last, signed."""
        kept = list(commits)[-MOST_RESULTS:] if self.secret else []
        while True:
            content = base64.b64encode(_packed(kept)).decode()
            if len(content) <= LONGEST_MEMORY or not kept:
                return f"{self.marker}{content} {self._signature(content)} -->"
            kept = kept[1:]

    def read(self, body: str) -> tuple[PastCommit, ...]:
        """Return the commits that a comment's body remembers; none for a body that we did not sign for this place."""
        line = body.split("\n", 1)[0].removesuffix("\r")
        if not self.secret or not line.startswith(self.marker) or not line.endswith(" -->"):
            return ()
        content, _, signature = line[len(self.marker) : -len(" -->")].partition(" ")
        if len(content) > LONGEST_MEMORY or not hmac.compare_digest(
            signature.encode(errors="replace"), self._signature(content).encode()
        ):
            return ()
        return _unpacked(content)

    def _signature(self, content: str) -> str:
        if not self.secret:
            return "unsigned"
        signed = json.dumps([MARKER, self.repository.lower(), self.pull_request, self.key, content]).encode()
        return hmac.new(self.secret.encode(), signed, hashlib.sha256).hexdigest()


def _packed(commits: Iterable[PastCommit]) -> bytes:
    packed = [
        [commit.commit, {name: _result(result) for name, result in list(commit.results.items())[:MOST_GATES]}]
        for commit in commits
    ]
    written = json.dumps({"v": MEMORY_VERSION, "commits": packed}, separators=(",", ":"), ensure_ascii=False)
    return written.encode(errors="surrogatepass")  # as json.loads reads it


def _result(past: PastResult) -> list[object]:
    numbers = past.numbers
    return [past.decision.value, past.stage.value, numbers.pass_rate, numbers.unsafe, numbers.failures, numbers.score]


def _unpacked(content: str) -> tuple[PastCommit, ...]:
    try:
        memory = wire.fields(json.loads(base64.b64decode(content, validate=True)))
    except (ValueError, RecursionError):
        return ()
    if memory.get("v") != MEMORY_VERSION:
        return ()
    commits = []
    for item in list(wire.items(memory.get("commits")))[:MOST_RESULTS]:
        pair = list(wire.items(item))
        if len(pair) == 2 and isinstance(pair[0], str) and SHA.match(pair[0]):  # noqa: PLR2004 - commit, results
            read = {name: _read_result(value) for name, value in wire.fields(pair[1]).items()}
            commits.append(PastCommit(commit=pair[0], results={n: r for n, r in read.items() if r is not None}))
    return tuple(commits)


def _read_result(value: object) -> PastResult | None:
    parts = list(wire.items(value))
    if len(parts) != 6 or not _is_word(parts[0], Decision) or not _is_word(parts[1], Stage):  # noqa: PLR2004 - _result
        return None
    rate = wire.number(parts[2], low=0, high=1).value
    unsafe, failures = (wire.number(part, low=0, whole=True).value for part in parts[3:5])
    score = wire.number(parts[5], low=0, high=100).value
    return PastResult(
        decision=Decision(str(parts[0])),
        stage=Stage(str(parts[1])),
        numbers=Numbers(pass_rate=rate, unsafe=unsafe, failures=failures, score=score),
    )


def _is_word(value: object, words: type[StrEnum]) -> bool:
    return isinstance(value, str) and value in set(words)


def _whole(value: float | None) -> str:
    return "-" if value is None else figures.decimal(value)


def _of_hundred(value: float) -> str:
    """Return a number of 0 to 100 with one digit, two where they tell more, and never as an end that it is not."""
    end = 0.0 if value < 50 else 100.0  # noqa: PLR2004 - the middle of the scale
    short = f"{value:.2f}".removesuffix("0")
    full = figures.score(value, unlike=end)
    return short if float(short) != end or float(full) == end else full
