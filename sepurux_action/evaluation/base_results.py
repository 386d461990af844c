"""The base's results by scenario: the file `baseline.json` of `baseline_dir`, and what they say about what failed.

No decision in a workflow depends on them. Source: docs/policy.md#block-only-what-gets-worse
"""

import hashlib
import hmac
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from sepurux_action.config.settings import Call
from sepurux_action.errors import DEFECTS
from sepurux_action.evaluation import runs
from sepurux_action.evaluation.decision import GateDecision, summarize
from sepurux_action.evaluation.gate_numbers import Scenario
from sepurux_action.evaluation.metrics import MAX_COUNTED, PASS_RATE
from sepurux_action.evaluation.published_result import MAX_BASE_RESULTS, Result, Results
from sepurux_action.evaluation.runs import BaseScenario, Decision, Failure, FailureKind, OnBase, Run
from sepurux_action.evaluation.traces import HIDDEN, MAX_STEPS, shown_name, with_steps

FILE = "baseline.json"
VERSION = 3  # another one if a field of a result has another meaning
PURPOSE = "sepurux-gate/baseline"
MAX_BYTES = 4 * 1024 * 1024
FRAME = 200  # bytes of the file that are no result
IGNORED = (
    f"`{FILE}` was ignored: this version of the action did not write it with this secret for this repository, or it was"
    " changed later. The next result that is written replaces it."
)


# -- the file ---------------------------------------------------------------------------------------------------------


def write_results(results: Iterable[Result], key: str, repository: str, redact: Callable[[str], str] = str) -> str:
    """Return the file, in ASCII, with the last results of each origin, the newest first, as far as they fit."""
    written, size, of_origin = list[str](), FRAME, Counter[tuple[str, ...]]()
    for result in sorted(results, key=lambda each: (-each.time, each.origin, each.commit)):
        of_origin[result.origin] += 1
        if of_origin[result.origin] > MAX_BASE_RESULTS:
            continue
        text = redact(json.dumps(_as_json(result), separators=(",", ":")))
        size += len(text) + 2  # with a comma and a line break
        if size > MAX_BYTES:
            break
        written.append(text)
    return _signed('"results":[\n' + ",\n".join(written) + "\n]}\n", key, repository)


def read_results(content: bytes | None, key: str, repository: str) -> tuple[Results, str]:
    """Return the results, the newest first, and a note if there is a file that `write_results` did not write so."""
    if content is None:
        return (), ""
    _, start, results = content.decode(errors="replace").partition('"results":')
    with suppress(*DEFECTS):
        if key and hmac.compare_digest(content, _signed(start + results, key, repository).encode()):
            return tuple(map(_of_json, json.loads(content)["results"])), ""
    return (), IGNORED


def _signed(results: str, key: str, repository: str) -> str:
    """Return the file with its signature, an HMAC-SHA-256. No other purpose or version has the same."""
    content = json.dumps([PURPOSE, VERSION, repository.lower(), results]).encode()
    signature = hmac.new(key.encode(), content, hashlib.sha256).hexdigest()
    return f'{{"schema":"{PURPOSE}@{VERSION}","signature":"{signature}",{results}'


def _as_json(result: Result) -> Mapping[str, object]:
    scenarios = list[Mapping[str, object]]()
    for each in result.scenarios:
        failures = None if each.failures is None else [[*kind, count] for kind, count in each.failures.items()]
        steps = [[call.tool, *call.arguments] for call in each.steps]
        scenarios.append({"name": each.name, "pass_rate": each.pass_rate, "failures": failures, "steps": steps})
    return {
        "origin": [*result.origin],
        "commit": result.commit,
        "time": result.time,
        "decision": result.decision,
        "numbers": dict(result.numbers),
        "scenarios": scenarios,
    }


def _of_json(given: Mapping[str, Any]) -> Result:
    """Return a result; raises one of DEFECTS for what `_as_json` does not write, as of another release."""
    scenarios = list[BaseScenario]()
    for each in given["scenarios"]:
        counts, rate = each["failures"], None if each["pass_rate"] is None else _number(each["pass_rate"])
        failures = None if counts is None else {tuple(map(str, kind)): _number(count) for *kind, count in counts}
        calls = ([*map(shown_name, call)] for call in each["steps"][:MAX_STEPS])
        steps = tuple(Call(tool, tuple(arguments)) for tool, *arguments in calls)
        scenarios.append(BaseScenario(name=str(each["name"]), pass_rate=rate, failures=failures, steps=steps))
    result = Result(
        origin=tuple(map(str, given["origin"])),
        commit=str(given["commit"]),
        time=_number(given["time"]),
        decision=Decision(given["decision"]),
        numbers={name: _number(number) for name, number in given["numbers"].items()},
        scenarios=tuple(scenarios),
    )
    if _as_json(result) != given:
        raise ValueError
    return result


def _number(value: float) -> float:
    if not 0 <= value <= MAX_COUNTED:
        raise ValueError
    return float(value)


# -- the comparison ---------------------------------------------------------------------------------------------------


def compare_with_base(decided: GateDecision, results: Results) -> GateDecision:
    """Return a decision with what the base's results and the uploaded traces say about its scenarios, not of a batch.

    The failures of the gate are those of the recordings of its scenarios.
    """
    gate = decided.gate
    if not gate.names_traces:
        return decided
    scenarios = tuple(_with_marks(each, results) for each in decided.scenarios)
    failures = runs.merge_failures(failure for each in scenarios for run in each.recordings for failure in run.failures)
    here = {trace.scenario[1] for trace in gate.traces}
    missing = tuple(each.name for result in results[:1] for each in result.scenarios if each.name not in here)
    return replace(decided, scenarios=scenarios, failures=failures, scenarios_missing=missing)


def _with_marks(scenario: Scenario, results: Results) -> Scenario:
    """Return a scenario with marks at its failures; the steps of one are those of the worst recording that has it."""
    of_base = [each for result in results for each in result.scenarios if each.name == scenario.key]
    known = [each.failures for each in of_base if each.failures is not None]
    newest = of_base[0].steps if of_base else ()
    on_base, worst = dict[FailureKind, OnBase](), dict[tuple[FailureKind, str], Failure]()
    if known and scenario.complete:
        for kind, count in _for_each_recording(scenario).items():
            most = max(each.get(kind, 0) for each in known)
            on_base[kind] = OnBase(sum(kind in each for each in known), len(known), count, most)
    for run in sorted(scenario.recordings, key=_worst_first):
        for each in run.failures:
            if (each.kind, each.description) not in worst:
                worst[each.kind, each.description] = with_steps(each, run.trace, newest)

    def mark(failure: Failure) -> Failure:
        shown, compared = worst[failure.kind, failure.description], on_base.get(failure.kind)
        return replace(failure, scenario=scenario.name, on_base=compared, step=shown.step, steps=shown.steps)

    traces = [run.trace for run in scenario.recordings]
    called = {call.tool for trace in traces for call in trace.calls}
    in_all = set.intersection(*({call.tool for call in each.steps} for each in of_base)) if of_base else set[str]()
    expected = dict.fromkeys(call.tool for call in newest if call.tool in in_all - {HIDDEN})
    return replace(
        scenario,
        recordings=tuple(replace(run, failures=tuple(map(mark, run.failures))) for run in scenario.recordings),
        base_rates=tuple(each.pass_rate for each in of_base if each.failures is not None),
        base_tools=tuple(expected),
        idle=all(trace.content is not None for trace in traces)
        and not (called & expected.keys() if expected else called),
    )


def result_to_keep(result: GateDecision, *, branch: str, commit: str, at: float) -> Result:
    """Return the result of a gate that passed or failed, at a POSIX time."""
    gate, scenarios = result.gate, list[BaseScenario]()
    names = Counter(each.key for each in result.scenarios)
    for each in result.scenarios:
        if each.key and names[each.key] == 1:
            rate = None if each.rate is None else PASS_RATE.rounded(each.rate)
            failures = dict(sorted(_for_each_recording(each).items())) if each.complete else None
            steps = max(each.recordings, key=_worst_first).trace.calls[:MAX_STEPS]
            scenarios.append(BaseScenario(name=each.key, pass_rate=rate, failures=failures, steps=steps))
    origin = gate.name, gate.campaign, gate.project, gate.mutation_pack, branch
    return replace(summarize(result), origin=origin, commit=commit, time=at, scenarios=tuple(scenarios))


def _worst_first(run: Run) -> tuple[float, float, float, str]:
    return *runs.numbers_key(run.value), run.trace.label


def _for_each_recording(scenario: Scenario) -> Mapping[FailureKind, float]:
    """Return the number of failures of each kind for each recording."""
    counts = Counter[FailureKind]()
    for run in scenario.recordings:
        for each in run.failures:
            counts[each.kind] += each.count
    return {kind: count / len(scenario.recordings) for kind, count in counts.items()}
