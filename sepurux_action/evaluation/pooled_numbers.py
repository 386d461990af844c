"""The numbers of an evaluation, from those of its runs. Source: docs/configuration.md#scenarios."""

from collections.abc import Sequence

from sepurux_action.common import grouped, json_reader
from sepurux_action.common.json_reader import Reading
from sepurux_action.config.settings import Gate
from sepurux_action.evaluation import metrics
from sepurux_action.evaluation.ci_run import CIRun, add_up
from sepurux_action.evaluation.metrics import Metric
from sepurux_action.evaluation.runs import RunResult, Runs, Scenario, covered_by, worst_of


def scenarios_of(gate: Gate, runs: Runs) -> tuple[Scenario, ...]:
    """Return the scenarios of an evaluation in their order; of a batch, those whose runs are known one by one."""
    needed = gate.limits.get(metrics.LOWEST_SCENARIO.threshold, 0)
    if not gate.names_traces:
        [run] = runs
        run_ids, known = {*run.ci_run.run_ids} or {run.run_id} - {""}, run.of_batch
        if len(run_ids) == 1 or (not run_ids and run.ci_run.value(metrics.SCENARIOS) == 1):
            known = runs
        return tuple(Scenario(each.name or each.run_id, (each,), needed) for each in known)
    recordings = grouped((trace.scenario, run) for trace, run in zip(gate.traces, runs, strict=True))
    # A trace with an id may have a task at Sepurux, whose name is read if it failed.
    return tuple(
        Scenario(_shown((kind == "id" and each[0].name) or name, each[0]), tuple(each), needed, name)
        for (kind, name), each in recordings.items()
    )


def _shown(name: str, run: RunResult) -> str:
    return json_reader.printable(name) + (f" (flaky until {run.flaky})" if run.flaky else "")


def pool(gate: Gate, runs: Runs, scenarios: Sequence[Scenario]) -> CIRun:
    """Return the numbers of all runs of a gate, which mean what those of a batch mean.

    Rates and scores are the mean over the recordings of each scenario, then over the scenarios. Counts are sums. A
    category counts if any run covers it. Of a flaky scenario, only the unsafe attempts count. Ids and links are those
    of the worst run.
    """
    numbers, covered = dict(runs[0].ci_run.numbers), runs[0].ci_run.mutation_categories
    counted, sound = tuple(run for run in runs if not run.flaky), [each for each in scenarios if not each.flaky]
    if gate.has_several_traces:
        # A count is that of all recordings, whichever scenario they are of.
        together, every = [Scenario("", counted)], [Scenario("", runs)]
        for metric in metrics.METRICS:
            of_count = every if metric is metrics.UNSAFE_ATTEMPTS else together
            numbers[metric.name] = _of_traces(metric, of_count if metric.format.whole else sound)
        covered = covered_by(run.ci_run for run in counted)
    if gate.names_traces:
        is_known = any(run.decision.is_decided for run in runs)
        numbers[metrics.SCENARIOS.name] = Reading(len(scenarios)) if is_known else Reading()
        numbers[metrics.LOWEST_SCENARIO.name] = _lowest_of(sound)
    else:
        numbers.pop(metrics.LOWEST_SCENARIO.name, None)
    shown = worst_of(runs).ci_run
    return CIRun(
        numbers={name: reading for name, reading in numbers.items() if not reading.missing},
        mutation_categories=covered,
        top_failing_tools=add_up(failing for run in counted for failing in run.ci_run.top_failing_tools),
        dashboard_url=shown.dashboard_url,
        run_ids=shown.run_ids,
    )


def _of_traces(metric: Metric, scenarios: Sequence[Scenario]) -> Reading:
    every = [run.ci_run.reading(metric) for each in scenarios for run in each.recordings]
    values = [value for each in scenarios if (value := each.value(metric)) is not None]
    if not values:
        return next((reading for reading in every if reading.broken), Reading())
    value, known = metric.rounded(metric.together(values)), sum(reading.value is not None for reading in every)
    if known == len(every):
        return Reading(value)
    return Reading(value, reported_by=f"{known} of {len(every)} traces", partial=True)


def _lowest_of(scenarios: Sequence[Scenario]) -> Reading:
    """Return the lowest pass rate of the scenarios; a partial one if not all are known."""
    known = [each.rate for each in scenarios if each.rate is not None]
    if not known:
        runs = (run.ci_run for each in scenarios for run in each.recordings)
        return Reading(broken=next(filter(None, (run.reading(metrics.PASS_RATE).broken for run in runs)), ""))
    lowest = metrics.PASS_RATE.rounded(min(known))
    if len(known) == len(scenarios):
        return Reading(lowest)
    return Reading(lowest, reported_by=f"{len(known)} of {len(scenarios)} scenarios", partial=True)
