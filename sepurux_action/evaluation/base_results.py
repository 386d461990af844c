"""The results of base branches by scenario, which the file `baseline.json` keeps between runs.

A file that this version of the module did not write, for this repository and with this secret, is ignored.
Source: docs/configuration.md#results-by-scenario
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from sepurux_action.common import codec, json_reader
from sepurux_action.common.signature import is_signed, sign
from sepurux_action.config.gate import Gate
from sepurux_action.evaluation.decision import Decision
from sepurux_action.evaluation.trace_steps import is_step

FILE = "baseline.json"
VERSION = 1  # another one if a field of a record has another meaning
PURPOSE = "sepurux-gate/baseline"
MAX_BYTES = 4 * 1024 * 1024
FRAME = 200  # bytes of the file that are no result
MAX_RESULTS = 5  # of a gate on a branch, and as many that passed; one of them that is unusual changes no median
MAX_SCENARIOS = 400  # of a result
IGNORED = f"`{FILE}` was ignored: {{why}}. The next result that is written replaces it."
_HEAD = re.compile(rb'\{"schema":"%s@([0-9]{1,9})","signature":"([0-9a-f]{64})",' % PURPOSE.encode())


@dataclass(frozen=True, slots=True, order=True)
class FailureKey:
    """What the failures of a scenario in different runs have in common. Every text is foreign."""

    type: str = ""
    mutation: str = ""
    severity: str = ""
    tool: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseScenario:
    """What one result has of a scenario: its numbers, what failed however often, and what its best recording did.

    `complete` is false if not all its failures are known. `steps` are lines that `parse_step` reads.
    """

    name: str
    recordings: int = 1
    pass_rate: float | None = None
    unsafe_attempts: float | None = None
    complete: bool = True
    failures: tuple[FailureKey, ...] = ()
    steps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseResult:
    """A result of a gate on a branch that passed or failed. `time` is POSIX seconds, `numbers` are by metric.

    On a command line, `branch` and `commit` are ''.
    """

    gate: str
    campaign: str
    project: str = ""
    mutation_pack: str = ""
    branch: str = ""
    commit: str = ""
    time: float
    decision: Decision
    numbers: Mapping[str, float] = field(default_factory=dict)
    scenarios: tuple[BaseScenario, ...] = ()

    @property
    def of(self) -> tuple[str, ...]:
        """Return what results that are compared have in common."""
        return self.gate, self.campaign, self.project, self.mutation_pack, self.branch


Results = tuple[BaseResult, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What a run has read of the file, with a `note` if it was ignored. `usable`: the file can be written."""

    results: Results = ()
    note: str = ""
    usable: bool = False


def find_results(results: Iterable[BaseResult], gate: Gate, branch: str, commits: Collection[str] | None) -> Results:
    """Return the newest results of the gate on the branch, the newest first, at these commits; None: at any."""
    of = gate.name, gate.campaign, gate.project, gate.mutation_pack, branch
    found = [each for each in results if each.of == of and (commits is None or each.commit in commits)]
    return tuple(_newest_first(found)[:MAX_RESULTS])


def keep(results: Iterable[BaseResult]) -> Results:
    """Return the results that the file keeps, the newest first.

    Of each gate and branch, these are the newest ones and the newest that passed, each with the first scenarios by
    name. Only the newest result with a scenario has its steps.
    """
    kept, newest, passed = list[BaseResult](), Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    with_steps = set[tuple[str, str, str]]()
    for result in _newest_first(results):
        of = result.gate, result.branch
        newest[of] += 1
        passed[of] += result.decision is Decision.PASS
        if newest[of] > MAX_RESULTS and (result.decision is not Decision.PASS or passed[of] > MAX_RESULTS):
            continue
        first = sorted(result.scenarios, key=lambda each: each.name)[:MAX_SCENARIOS]
        scenarios = (replace(each, steps=()) if (*of, each.name) in with_steps else each for each in first)
        kept.append(replace(result, scenarios=tuple(scenarios)))
        with_steps |= {(*of, each.name) for each in result.scenarios}
    return tuple(kept)


def _newest_first(results: Iterable[BaseResult]) -> list[BaseResult]:
    return sorted(results, key=lambda each: (-each.time, each.gate, each.branch, each.commit))


@dataclass(frozen=True, slots=True)
class BaselineFile:
    """The content of the file. Its signature covers the repository, '' if it is unknown on a command line."""

    signing_key: str
    repository: str

    def write(self, results: Iterable[BaseResult], redact: Callable[[str], str] = str) -> str:
        """Return the content with the results that are kept, as far as they fit; the oldest do not. It is ASCII."""
        written, size = list[str](), 0
        for result in keep(results):
            text = redact(json.dumps(codec.dump(result), separators=(",", ":")))
            size += len(text) + 2  # a comma and a line break
            if size > MAX_BYTES - FRAME:
                break
            written.append(text)
        content = '"results":[\n' + ",\n".join(written) + "\n]}\n"
        signature = sign(self.signing_key, *self._signed(content))
        return f'{{"schema":"{PURPOSE}@{VERSION}","signature":"{signature}",{content}'

    def read(self, content: bytes) -> tuple[Results, str]:
        """Return the results, the newest first; if there are none because the file is ignored, also a note."""
        results, why = self._read(content)
        return results, why and IGNORED.format(why=why)

    def _read(self, content: bytes) -> tuple[Results, str]:
        if len(content) > MAX_BYTES:
            return (), f"it has more than {MAX_BYTES // 2**20} MiB"
        head = _HEAD.match(content)
        if not head:
            return (), "this action did not write it"
        if int(head[1]) != VERSION:
            return (), "another version of this action wrote it"
        signed = content[head.end() :].decode(errors="replace")
        if not is_signed(head[2].decode(), self.signing_key, *self._signed(signed)):
            return (), "it was signed with another secret or for another repository, or changed later"
        try:
            results = codec.load(_Content, json.loads("{" + signed, parse_constant=json_reader.reject_constant)).results
        except (ValueError, RecursionError):
            return (), "it cannot be read"
        if not all(is_step(step) for result in results for each in result.scenarios for step in each.steps):
            return (), "it cannot be read"
        if results != keep(results):
            return (), "it has more results or scenarios than this action keeps"
        return results, ""

    def _signed(self, content: str) -> tuple[str, int, str, str]:
        return PURPOSE, VERSION, self.repository.lower(), content


@dataclass(frozen=True, slots=True)
class _Content:
    results: Results
