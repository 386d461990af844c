"""Keeps the base's results by scenario in the file `baseline.json` of the folder `baseline_dir`.

No decision in a workflow depends on them. Source: docs/configuration.md#results-by-scenario
"""

from __future__ import annotations

import hmac
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from sepurux_action.common import codec
from sepurux_action.common.codec import sign
from sepurux_action.config.gate import Gate
from sepurux_action.evaluation.base_comparison import result_to_keep
from sepurux_action.evaluation.base_results import MAX_RESULTS, BaseResult, Results, find_results
from sepurux_action.evaluation.decision import Decision
from sepurux_action.evaluation.drops import Baseline, BaselineResult
from sepurux_action.evaluation.published_result import PreviousResult
from sepurux_action.evaluation.result import GateResult
from sepurux_action.github.event import Event
from sepurux_action.host.output import Level
from sepurux_action.step import Step

FILE = "baseline.json"
VERSION = 1  # another one if a field of a record has another meaning
PURPOSE = "sepurux-gate/baseline"
MAX_BYTES = 4 * 1024 * 1024
FRAME = 200  # bytes of the file that are no result
MAX_SCENARIOS = 400  # of a result
IGNORED = (
    f"`{FILE}` was ignored: this version of the action did not write it with this secret for this repository, or it was"
    " changed later. The next result that is written replaces it."
)
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
    return replace(step, kept=results, kept_note=note)


def results_of(step: Step, gate: Gate) -> Results:
    """Return the results that a gate's scenarios are compared with: in a workflow, those before its commit."""
    event, commits = step.event, NO_COMMIT
    if event.name:
        commits = step.github.subject.base.commits
    return find_results(step.kept or (), gate, event.base_ref or _pushed_branch(event), commits)


def baseline_of(step: Step, gate: Gate) -> Baseline | None:
    """Return the results that a gate's numbers are compared with, None if they could not be read."""
    if step.event.name or not step.settings.baseline_dir:
        return step.github.subject.baseline(gate)
    passed = (each for each in step.kept or () if each.decision is Decision.PASS)
    results = (
        PreviousResult(decision=each.decision, stage=gate.stage, numbers=each.numbers)
        for each in find_results(passed, gate, "", NO_COMMIT)
    )
    return Baseline(tuple(BaselineResult(commit="", url="", result=each) for each in results))


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
        text = write_results(kept, key, event.repository, step.redact)
        step.files.write(step.settings.baseline_dir, {FILE: text})


def _pushed_branch(event: Event) -> str:
    return event.head_branch if event.name in ON_BRANCH else ""


def write_results(results: Iterable[BaseResult], key: str, repository: str, redact: Callable[[str], str] = str) -> str:
    """Return the file with the results that are kept, the newest first, each one that still fits. It is ASCII.

    On a command line, the `repository` may be ''.
    """
    written, size = list[str](), FRAME
    for result in keep(results):
        text = redact(json.dumps(codec.dump(result), separators=(",", ":")))
        if size + len(text) + 2 <= MAX_BYTES:  # with a comma and a line break
            written.append(text)
            size += len(text) + 2
    return _signed('"results":[\n' + ",\n".join(written) + "\n]}\n", key, repository)


def read_results(content: bytes | None, key: str, repository: str) -> tuple[Results, str]:
    """Return the results, the newest first, and a note if `write_results` did not write this with key and repository.

    Without a file, there is no note.
    """
    if content is None:
        return (), ""
    _, start, results = content.decode(errors="replace").partition('"results":')
    signed = _signed(start + results, key, repository).encode()
    if not key or not hmac.compare_digest(content, signed):
        return (), IGNORED
    try:
        return codec.load(Results, json.loads("{" + start + results)["results"]), ""
    except ValueError:  # another release of the same version may know other fields
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
