"""The base's results by scenario, in the file `baseline.json` of the folder `baseline_dir`, and what they say.

No decision in a workflow depends on them. Source: docs/configuration.md#results-by-scenario
"""

import hmac
import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from operator import attrgetter

from sepurux_action.common import codec, json_reader
from sepurux_action.common.codec import sign
from sepurux_action.config.gate import Gate
from sepurux_action.evaluation.base_results import BaseResult, BaseScenario, Results, ScenarioOnBase
from sepurux_action.evaluation.decision import Decision
from sepurux_action.evaluation.drops import Baseline
from sepurux_action.evaluation.failures import ClassifiedFailure, OnBase, merge_failures
from sepurux_action.evaluation.metrics import UNSAFE_ATTEMPTS
from sepurux_action.evaluation.published_result import PreviousResult, published_numbers
from sepurux_action.evaluation.result import GateResult
from sepurux_action.evaluation.runs import RunResult, Scenario, WhatFailed, numbers_key
from sepurux_action.evaluation.trace_steps import Events, Steps, shown_steps, steps_of
from sepurux_action.github.event import Event
from sepurux_action.host.output import Level
from sepurux_action.step import Step

FILE = "baseline.json"
VERSION = 1  # another one if a field of a record has another meaning
PURPOSE = "sepurux-gate/baseline"
MAX_BYTES = 4 * 1024 * 1024
FRAME = 200  # bytes of the file that are no result
MAX_RESULTS = 5  # of a gate on a branch, and as many that passed; one of them that is unusual changes no median
MAX_SCENARIOS = 400  # of a result
IGNORED = (
    f"`{FILE}` was ignored: this version of the action did not write it with this secret for this repository, or it was"
    " changed later. The next result that is written replaces it."
)
ORIGIN = attrgetter("gate", "campaign", "project", "mutation_pack", "branch")  # results of one are compared
NO_COMMIT = frozenset({""})  # that of each result that a command line wrote
ON_BRANCH = frozenset({"push", "schedule", "workflow_dispatch"})  # events that evaluate the branch of GITHUB_REF


def read_kept(step: Step) -> Step:
    """Return the run with the results in its folder. One that cannot be used is a warning."""
    if not (step.settings.baseline_dir and step.inputs.secret):
        return step
    content, problem = step.files.read(step.settings.baseline_dir, FILE, MAX_BYTES)
    if problem:
        step.host.annotate(Level.WARNING, problem)
        return step
    results, note = read_results(content, step.github.subject.signing_key, step.event.repository)
    if note and not step.event.name:  # a terminal shows no notes, and drops are compared with these results there
        step.host.annotate(Level.WARNING, note)
    return replace(step, kept=results, kept_note=note)


def results_of(step: Step, gate: Gate) -> Results:
    """Return the results that a gate's scenarios are compared with: in a workflow, those before its commit."""
    event = step.event
    commits = step.github.subject.base.commits if event.name else NO_COMMIT
    return find_results(step.kept or (), gate, event.base_ref or _pushed_branch(event), commits)


def baseline_of(step: Step, gate: Gate) -> Baseline | None:
    """Return the results that a gate's numbers are compared with, None if they could not be read.

    On a command line, they are those in the file that passed.
    """
    if step.event.name:
        return step.github.subject.baseline(gate)
    passed = find_results((each for each in step.kept or () if each.decision is Decision.PASS), gate, "", NO_COMMIT)
    results = (PreviousResult(decision=each.decision, stage=gate.stage, numbers=each.numbers) for each in passed)
    return Baseline(tuple(results)).for_gate(gate)


def find_results(results: Iterable[BaseResult], gate: Gate, branch: str, commits: Collection[str]) -> Results:
    """Return the first results of the gate on the branch at these commits."""
    origin = gate.name, gate.campaign, gate.project, gate.mutation_pack, branch
    return tuple(each for each in results if ORIGIN(each) == origin and each.commit in commits)[:MAX_RESULTS]


def is_kept(step: Step) -> bool:
    """Return whether the results of this run are added to the file."""
    if step.kept is None:
        return False
    if not step.event.name:
        return step.invocation.write_baseline
    return step.event.pull_request is None and bool(_pushed_branch(step.event))


def write_kept(step: Step, results: Sequence[GateResult]) -> None:
    """Add the results of gates that this run evaluated to the file; nothing after a signal."""
    if step.signals.received or not is_kept(step):
        return
    event, at = step.event, step.github.subject.started.timestamp()
    new = [
        result_to_keep(each, branch=_pushed_branch(event), commit=event.commit, at=at)
        for each in results
        if each.decision.is_decided and not each.recorded
    ]
    if new:
        kept, key = [*(step.kept or ()), *new], step.github.subject.signing_key
        text = write_results(kept, key, event.repository, step.host.redact)
        step.files.write(step.settings.baseline_dir, {FILE: text})


def _pushed_branch(event: Event) -> str:
    """Return the branch whose newest commit is evaluated; a `workflow_run` may be about a tag of another name, too."""
    of_default = event.name == "workflow_run" and not event.fork and event.head_branch == event.default_branch
    return event.head_branch if event.name in ON_BRANCH or of_default else ""


def write_results(results: Iterable[BaseResult], key: str, repository: str, redact: Callable[[str], str] = str) -> str:
    """Return the file, in ASCII, with each of the results that are kept, the newest first, that still fits."""
    written, size = list[str](), FRAME
    for result in keep(results):
        text = redact(json.dumps(codec.dump(result), separators=(",", ":")))
        if size + len(text) + 2 <= MAX_BYTES:  # with a comma and a line break
            written.append(text)
            size += len(text) + 2
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
    """Return the results that the file keeps, the newest first.

    Of each gate and branch, these are the newest ones and the newest that passed, each with the first scenarios by
    name. Only the newest result with a scenario has its steps.
    """
    kept, newest, with_steps = list[BaseResult](), Counter[tuple[str, ...]](), set[tuple[str, str, str]]()
    for result in sorted(results, key=lambda each: (-each.time, each.gate, each.branch, each.commit)):
        of = result.gate, result.branch
        newest.update([of, (*of, result.decision)])
        passed = result.decision is Decision.PASS and newest[*of, result.decision] <= MAX_RESULTS
        if newest[of] > MAX_RESULTS and not passed:
            continue
        scenarios = sorted(result.scenarios, key=lambda each: each.name)[:MAX_SCENARIOS]
        for index, each in enumerate(scenarios):
            if (*of, each.name) in with_steps:
                scenarios[index] = replace(each, steps=())
            with_steps.add((*of, each.name))
        kept.append(replace(result, scenarios=tuple(scenarios)))
    return tuple(kept)


def compare_with_base(gate: Gate, found: WhatFailed, results: Results) -> WhatFailed:
    """Return what failed, with what the base's results and the uploaded traces say about it; nothing of a batch."""
    if not gate.names_traces:
        return found
    scenarios = tuple(_compared(each, ScenarioOnBase.of(results, each.key), gate) for each in found.scenarios)
    failures = (failure for each in scenarios for run in each.recordings for failure in run.failures)
    return replace(found, scenarios=scenarios, failures=merge_failures(failures)[0])


def _compared(scenario: Scenario, base: ScenarioOnBase, gate: Gate) -> Scenario:
    """Return a scenario with marks at its failures; the steps of one are those of the worst recording that has it."""
    steps, having, complete = dict[tuple[ClassifiedFailure, str], Steps](), base.having(), scenario.complete
    for run in sorted(scenario.recordings, key=_worst_first):
        events = _events_of(run, gate)
        for each in run.failures:
            if (each.key, each.description) not in steps:
                steps[each.key, each.description] = shown_steps(events, base.steps, each.tool, each.event)

    def mark(each: ClassifiedFailure) -> ClassifiedFailure:
        on_base = OnBase(having[each.key], base.results) if complete and base.complete else None
        return replace(each, scenario=scenario.name, on_base=on_base, steps=steps[each.key, each.description])

    recordings = (replace(run, failures=tuple(map(mark, run.failures))) for run in scenario.recordings)
    return replace(scenario, recordings=tuple(recordings), base=base)


def _events_of(run: RunResult, gate: Gate) -> Events:
    return next((each.events for each in gate.traces if each.label == run.path), ())


def _worst_first(run: RunResult) -> tuple[float, float, float, str]:
    return *numbers_key(run.ci_run.value), run.trace


def result_to_keep(result: GateResult, *, branch: str, commit: str, at: float) -> BaseResult:
    """Return the result of a gate that passed or failed, at a POSIX time, with the failures of both evaluations."""
    gate, scenarios = result.gate, result.what_failed.scenarios
    first = {each.key: each for each in result.first_failed.scenarios}
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
        scenarios=tuple(_to_keep(each, first.get(each.key, Scenario("", ())), gate) for each in named),
    )


def _to_keep(scenario: Scenario, first: Scenario, gate: Gate) -> BaseScenario:
    both = Scenario(scenario.name, (*first.recordings, *scenario.recordings))
    unsafe = (value for each in (first, scenario) if (value := each.value(UNSAFE_ATTEMPTS)) is not None)
    keys = tuple(sorted({failure.key for failure in both.failures}))
    return BaseScenario(
        name=scenario.key,
        recordings=len(scenario.recordings),
        pass_rate=both.rate,
        unsafe_attempts=max(unsafe, default=None),
        failures=keys if both.complete else None,
        steps=steps_of(_events_of(max(scenario.recordings, key=_worst_first), gate)),
    )
