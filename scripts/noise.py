"""Computes how often chance alone decides a gate: the tables of docs/noisy-agents.md.

`python scripts/noise.py` prints the tables, and `make generate` writes them. Nothing is drawn at random: the number of
attempts that pass is a binomial, and the gate's own functions decide about each number.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from itertools import accumulate
from math import comb
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from sepurux_action.config import options
from sepurux_action.config.gate import Gate
from sepurux_action.config.options import Option
from sepurux_action.config.stage import Stage
from sepurux_action.evaluation.ci_run import parse_ci_run
from sepurux_action.evaluation.confirmation import can_be_noise, confirm
from sepurux_action.evaluation.decision import Decision, decide
from sepurux_action.evaluation.drops import Base
from sepurux_action.evaluation.gate_decision import decide_gate
from sepurux_action.evaluation.metrics import PASS_RATE
from sepurux_action.evaluation.published_result import (
    MAX_BASE_RESULTS,
    Baseline,
    BaselineResult,
    PreviousResult,
    published_numbers,
)
from sepurux_action.evaluation.runs import RunResult, Runs

ATTEMPTS = (25, 50, 100, 200)
NEEDED = 0.85  # `min_pass_rate`
DROP = 0.03  # `max_pass_rate_drop`
FLOOR = 0.1  # how far below the true pass rate `min_pass_rate` lies; only results at or above it are compared
MAJORITY = MAX_BASE_RESULTS // 2 + 1  # so many results at or above a number make the median at least this number


# -- the gate ---------------------------------------------------------------------------------------------------------


def blocks(passed: Sequence[int], attempts: int, gate: Gate, on_base: Sequence[int] = ()) -> bool:
    """Return whether a gate fails with these numbers of passed attempts in one evaluation, or in two with `confirm`."""
    results = tuple(BaselineResult(commit="", url="", result=_result(each, attempts)) for each in on_base)
    base, (first, *second) = Base(baseline=Baseline(results)), [_runs(each, attempts) for each in passed]
    decided = decide_gate(gate, first, base)
    if second and can_be_noise(decided):
        return confirm(gate, decided, second[0], base).decision is Decision.FAIL
    return decided.decision is Decision.FAIL


def gate_with(option: Option[float], limit: float) -> Gate:
    return Gate(name="", campaign="", limits={option.name: limit})


def _runs(passed: int, attempts: int) -> Runs:
    run = parse_ci_run({"decision": Decision.PASS, PASS_RATE.name: passed / attempts, "trace_count": 1})
    return (RunResult(run=run, run_decision=decide(run)),)


@cache
def _result(passed: int, attempts: int) -> PreviousResult:
    gate = Gate(name="", campaign="", limits={})
    numbers = published_numbers(_runs(passed, attempts)[0].run, gate)  # a run reads them from a description
    return PreviousResult(decision=Decision.PASS, stage=Stage.HARD, numbers=numbers)


# -- the probabilities ------------------------------------------------------------------------------------------------


@cache
def chances(attempts: int, rate: float) -> tuple[float, ...]:
    """Return the probability of each number of passed attempts, from 0 on."""
    return tuple(comb(attempts, n) * rate**n * (1 - rate) ** (attempts - n) for n in range(attempts + 1))


@cache
def doubled_chances(attempts: int, rate: float, *, confirmed: bool) -> tuple[float, ...]:
    """Return the probability of each doubled number of passed attempts that decides, from 0 on.

    It is that of the first evaluation, or if there are two, that of their mean if it is higher: a gate fails if both
    miss its limit.
    """
    found, of_one = [0.0] * (2 * attempts + 1), chances(attempts, rate)
    for first, chance in enumerate(of_one):
        for second, other in enumerate(of_one if confirmed else [1.0]):
            found[max(2 * first, first + second)] += chance * other
    return tuple(found)


def evaluations(doubled: int) -> tuple[int, int]:
    """Return two evaluations in which this doubled number of passed attempts decides."""
    return doubled // 2, doubled - doubled // 2


@cache
def blocked(attempts: int, needed: float) -> tuple[bool, ...]:
    """Return for each doubled number of passed attempts whether it misses `min_pass_rate`."""
    gate = gate_with(options.MIN_PASS_RATE, needed)
    return tuple(blocks(evaluations(each), attempts, gate) for each in range(2 * attempts + 1))


@cache
def lowest_medians(attempts: int, limit: float) -> tuple[int, ...]:
    """Return for each doubled number of passed attempts the lowest median from which the drop is too large.

    It is one more than all attempts if there is none. A higher number has no lower one.
    """
    gate, found, median = gate_with(options.MAX_PASS_RATE_DROP, limit), list[int](), 0
    for doubled in range(2 * attempts + 1):
        while median <= attempts and not blocks(evaluations(doubled), attempts, gate, [median] * MAX_BASE_RESULTS):
            median += 1
        found.append(median)
    return tuple(found)


def misses(attempts: int, rate: float, *, confirmed: bool = False, needed: float = NEEDED) -> float:
    """Return the probability that an agent with this true pass rate misses `min_pass_rate`."""
    decisive = zip(doubled_chances(attempts, rate, confirmed=confirmed), blocked(attempts, needed), strict=True)
    return sum(chance for chance, is_blocked in decisive if is_blocked)


def drops(attempts: int, rate: float, *, confirmed: bool = False, loss: float = 0.0, limit: float = DROP) -> float:
    """Return the probability that a change which really costs `loss` misses `max_pass_rate_drop`.

    The base branch has five results of the true rate that reached `min_pass_rate`.
    """
    reached = zip(chances(attempts, rate), blocked(attempts, round(rate - FLOOR, 2))[::2], strict=True)
    of_base = [0.0 if is_blocked else chance for chance, is_blocked in reached]
    at_least = [*reversed([*accumulate(reversed(of_base))]), 0.0]  # the probability of so many passed attempts, or more
    found = 0.0
    for doubled, chance in enumerate(doubled_chances(attempts, rate - loss, confirmed=confirmed)):
        high = at_least[lowest_medians(attempts, limit)[doubled]] / at_least[0]
        lower = at_least[doubled // 2 + 1] / at_least[0] - high  # below this median, but above the result
        found += chance * sum(
            comb(MAX_BASE_RESULTS, many) * high**many * lower ** (MAX_BASE_RESULTS - many)
            for many in range(MAJORITY, MAX_BASE_RESULTS + 1)
        )
    return found


def turns_green(attempts: int, rate: float, *, confirmed: bool = False, runs: int = 1) -> float:
    """Return the probability that at least one of several runs, each with its own evaluation, passes."""
    return 1 - misses(attempts, rate, confirmed=confirmed) ** runs


# -- the tables -------------------------------------------------------------------------------------------------------


def _percent(chance: float) -> str:
    """Return a probability in whole percent; one that is not quite 0 or 1 is not shown as such."""
    return {"0%": "<1%", "100%": ">99%"}.get(written := f"{chance:.0%}", written)


def _table(columns: Mapping[str, Callable[..., float]]) -> str:
    """Return a table of probabilities by the number of attempts, each without and with `confirm`."""
    lines = [["attempts", *columns], ["---:"] * (len(columns) + 1)]
    for n in ATTEMPTS:
        odds = ((chance(n, confirmed=False), chance(n, confirmed=True)) for chance in columns.values())
        lines.append([str(n), *(" → ".join(map(_percent, each)) for each in odds)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


TABLES: dict[str, Callable[[], str]] = {
    name: partial(_table, columns)
    for name, columns in {
        "drop": {
            "harmless at 95%": partial(drops, rate=0.95),
            "harmless at 90%": partial(drops, rate=0.9),
            "harmless at 85%": partial(drops, rate=0.85),
            "90% becomes 80%": partial(drops, rate=0.9, loss=0.1),
        },
        "threshold": {
            "agent at 95%": partial(misses, rate=0.95),
            "at 90%": partial(misses, rate=0.9),
            "at 85%": partial(misses, rate=0.85),
            "at 80%": partial(misses, rate=0.8),
        },
        "rerun": {
            "a `fail` stays": partial(turns_green, rate=0.8),
            "1 re-run evaluates": partial(turns_green, rate=0.8, runs=2),
            "2 re-runs": partial(turns_green, rate=0.8, runs=3),
            "4 re-runs": partial(turns_green, rate=0.8, runs=5),
        },
    }.items()
}

if __name__ == "__main__":
    for name, table in TABLES.items():
        print(f"{name}\n\n{table()}\n")
