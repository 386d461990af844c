"""The base's results by scenario, in the file `baseline.json` of the folder `baseline_dir`, and what they say.

No decision in a workflow depends on them. Source: docs/configuration.md#results-by-scenario
"""

import hmac
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from operator import attrgetter

from sepurux_action.common import codec, grouped, json_reader
from sepurux_action.common.codec import sign
from sepurux_action.config.settings import Gate
from sepurux_action.evaluation import published_result
from sepurux_action.evaluation.base_results import BaseFailure, BaseResult, BaseScenario, Results, ScenarioOnBase
from sepurux_action.evaluation.decision import GateDecision
from sepurux_action.evaluation.failures import ClassifiedFailure, Kind, merge_failures
from sepurux_action.evaluation.gate_numbers import Scenario, WhatFailed
from sepurux_action.evaluation.metrics import PASS_RATE
from sepurux_action.evaluation.published_result import Result, comparable, published_numbers
from sepurux_action.evaluation.runs import Run, numbers_key
from sepurux_action.evaluation.trace_steps import Steps, shown_steps, steps_of
from sepurux_action.host.output import Level, read_file, write_files
from sepurux_action.step import Step

FILE = "baseline.json"
VERSION = 2  # another one if a field of a record has another meaning
PURPOSE = "sepurux-gate/baseline"
MAX_BYTES = 4 * 1024 * 1024
FRAME = 200  # bytes of the file that are no result
MAX_RESULTS = 5  # of a gate on a branch; one of them that is unusual changes no median
IGNORED = (
    f"`{FILE}` was ignored: this version of the action did not write it with this secret for this repository, or it was"
    " changed later. The next result that is written replaces it."
)
ORIGIN = attrgetter("gate", "campaign", "project", "mutation_pack", "branch")  # results of one are compared
ON_BRANCH = frozenset({"push", "schedule", "workflow_dispatch"})  # events that evaluate the branch of GITHUB_REF


def read_kept(step: Step) -> Step:
    """Return the run with the results in its folder. Any other content counts as none, with a note."""
    folder, content, problem = step.settings.baseline_dir and step.folder(step.settings.baseline_dir), None, ""
    if not (folder and step.signing_key):
        return step
    try:
        content = read_file(folder / FILE, MAX_BYTES)
    except OSError as error:
        problem = f"{FILE} could not be read: {error.strerror}."
    results, note = read_results(content, step.signing_key, step.event.repository)
    note = problem or note
    if note and not step.event.name:  # a terminal shows no notes, and drops are compared with these results there
        step.host.annotate(Level.WARNING, note)
    return replace(step, kept=results, kept_note=note)


def results_of(step: Step, gate: Gate) -> Results:
    """Return the results that a gate is compared with. Those of the evaluated commit itself do not count."""
    event = step.event
    branch, own = event.base_ref or event.head_branch, event.commit
    if event.name and not branch:
        return ()
    origin = gate.name, gate.campaign, gate.project, gate.mutation_pack, branch
    return tuple(each for each in step.kept or () if ORIGIN(each) == origin and (not own or each.commit != own))


def baseline_of(step: Step, gate: Gate) -> published_result.Results | None:
    """Return the results that a gate's numbers are compared with, None if they could not be read."""
    if step.event.name:
        return step.subject.baseline(gate)
    kept = results_of(step, gate)
    results = (Result(decision=each.decision, stage=gate.stage, numbers=each.numbers) for each in kept)
    return comparable(results, gate)


def is_kept(step: Step) -> bool:
    """Return whether the results of this run are added to the file."""
    if step.kept is None:
        return False
    if not step.event.name:
        return step.invocation.write_baseline
    return step.event.name in ON_BRANCH and bool(step.event.head_branch)


def write_kept(step: Step, results: Sequence[GateDecision]) -> None:
    """Add the results of gates that this run evaluated to the file; nothing after a signal."""
    if step.signals.received or not is_kept(step):
        return
    event, at = step.event, step.started.timestamp()
    new = [
        result_to_keep(each, branch=event.head_branch, commit=event.commit, at=at)
        for each in results
        if each.decision.is_decided
    ]
    folder = step.folder(step.settings.baseline_dir)
    if new and folder:
        kept, key = [*(step.kept or ()), *new], step.signing_key
        text = write_results(kept, key, event.repository, step.host.redact)
        write_files(folder, {FILE: text}, step.host)


def write_results(results: Iterable[BaseResult], key: str, repository: str, redact: Callable[[str], str] = str) -> str:
    """Return the file, in ASCII, with the results that are kept, the newest first, as far as they fit."""
    written, size = list[str](), FRAME
    for result in keep(results):
        text = redact(json.dumps(codec.dump(result), separators=(",", ":")))
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
    with suppress(ValueError, RecursionError):  # another release of the same version may know other fields
        if key and hmac.compare_digest(content, _signed(start + results, key, repository).encode()):
            return codec.load(Results, json.loads(content, parse_constant=json_reader.reject_constant)["results"]), ""
    return (), IGNORED


def _signed(results: str, key: str, repository: str) -> str:
    signature = sign(key, PURPOSE, VERSION, repository.lower(), results)
    return f'{{"schema":"{PURPOSE}@{VERSION}","signature":"{signature}",{results}'


def keep(results: Iterable[BaseResult]) -> Results:
    """Return the results that the file keeps, the newest first: the last ones of each gate and branch."""
    kept = list[BaseResult]()
    for of_one in grouped((ORIGIN(each), each) for each in sorted(results, key=_newest_first)).values():
        kept += of_one[:MAX_RESULTS]
    return tuple(sorted(kept, key=_newest_first))


def _newest_first(result: BaseResult) -> tuple[object, ...]:
    return -result.time, ORIGIN(result), result.commit


def compare_with_base(gate: Gate, found: WhatFailed, results: Results) -> WhatFailed:
    """Return what failed, with what the base's results and the uploaded traces say about it; nothing of a batch."""
    if not gate.names_traces:
        return found
    scenarios = tuple(_compared(each, ScenarioOnBase.of(results, each.key)) for each in found.scenarios)
    failures = (failure for each in scenarios for run in each.recordings for failure in run.failures)
    of_newest = (each.name for each in (results[0].scenarios if results else ()))
    here = {name for _, name in (each.scenario for each in gate.traces)}
    missing = tuple(name for name in of_newest if name not in here)
    return replace(found, scenarios=scenarios, failures=merge_failures(failures), missing=missing)


def _compared(scenario: Scenario, base: ScenarioOnBase) -> Scenario:
    """Return a scenario with marks at its failures; the steps of one are those of the worst recording that has it."""
    steps = dict[tuple[Kind, str], Steps]()
    for run in sorted(scenario.recordings, key=_worst_first):
        events = run.trace.events
        for each in run.failures:
            if (each.kind, each.description) not in steps:
                steps[each.kind, each.description] = shown_steps(events, base.steps, each.tool, each.event)

    on_base = base.compare(_for_each_recording(scenario)) if scenario.complete else {}

    def mark(each: ClassifiedFailure) -> ClassifiedFailure:
        found = on_base.get(each.kind)
        return replace(each, scenario=scenario.name, on_base=found, steps=steps[each.kind, each.description])

    recordings = (replace(run, failures=tuple(map(mark, run.failures))) for run in scenario.recordings)
    return replace(scenario, recordings=tuple(recordings), base=base, idle=_is_idle(scenario, base))


def _is_idle(scenario: Scenario, base: ScenarioOnBase) -> bool:
    """Return whether all recordings are files that call no tool, or none that every result of the base calls."""
    traces = [run.trace for run in scenario.recordings]
    tools = {each.tool for trace in traces for each in trace.events if each.is_call}
    return all(trace.uploaded for trace in traces) and not (tools & {*base.tools} if base.tools else tools)


def _worst_first(run: Run) -> tuple[float, float, float, str]:
    return *numbers_key(run.value), run.trace.label


def result_to_keep(result: GateDecision, *, branch: str, commit: str, at: float) -> BaseResult:
    """Return the result of a gate that passed or failed, at a POSIX time."""
    gate, scenarios = result.gate, result.what_failed.scenarios
    names = Counter(each.key for each in scenarios)
    named = (each for each in scenarios if each.key and names[each.key] == 1)
    return BaseResult(
        gate=gate.name,
        campaign=gate.campaign,
        project=gate.project,
        mutation_pack=gate.mutation_pack,
        branch=branch,
        commit=commit,
        time=at,
        decision=result.decision,
        numbers=published_numbers(result.numbers, gate),
        scenarios=tuple(_to_keep(each) for each in named),
    )


def _for_each_recording(scenario: Scenario) -> Mapping[Kind, float]:
    """Return the number of failures of each kind for each recording."""
    counts = Counter[Kind]()
    for run in scenario.recordings:
        for each in run.failures:
            counts[each.kind] += each.count
    return {kind: count / len(scenario.recordings) for kind, count in counts.items()}


def _to_keep(scenario: Scenario) -> BaseScenario:
    failures = (
        BaseFailure(type=type_, mutation=mutation, severity=severity, tool=tool, count=count)
        for (type_, mutation, severity, tool), count in sorted(_for_each_recording(scenario).items())
    )
    return BaseScenario(
        name=scenario.key,
        pass_rate=None if scenario.rate is None else PASS_RATE.rounded(scenario.rate),
        failures=tuple(failures) if scenario.complete else None,
        steps=steps_of(max(scenario.recordings, key=_worst_first).trace.events),
    )
