"""Computes how often chance alone decides a gate: the tables of docs/noisy-agents.md.

`python scripts/noise.py` prints the tables, and `make generate` writes them. Nothing is drawn at random: the number of
attempts that pass is a binomial, and the gate's own functions decide about each number.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from itertools import accumulate
from math import comb, sqrt
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from sepurux_action.common.json_reader import Reading
from sepurux_action.config import options
from sepurux_action.config.gate import Gate
from sepurux_action.config.options import Option
from sepurux_action.config.stage import Stage
from sepurux_action.evaluation.ci_run import CIRun
from sepurux_action.evaluation.decision import Check, CheckState, Decision, check_thresholds
from sepurux_action.evaluation.drops import Base, check_drops
from sepurux_action.evaluation.metrics import PASS_RATE
from sepurux_action.evaluation.published_result import (
    MAX_BASE_RESULTS,
    Baseline,
    BaselineResult,
    PreviousResult,
    published_numbers,
)

ATTEMPTS = (25, 50, 100, 200)
FEW_ATTEMPTS = (10, 15, 20)  # too few to block a drop
LOSS = 0.1  # a real loss, of ten points
FLOOR = 0.1  # how far below the true pass rate `min_pass_rate` lies; only results at or above it are compared
MAJORITY = MAX_BASE_RESULTS // 2 + 1  # so many results at or above a number make the median at least this number


# -- the probabilities ------------------------------------------------------------------------------------------------


@cache
def chances(attempts: int, rate: float) -> tuple[float, ...]:
    """Return the probability of each number of passed attempts, from 0 on."""
    return tuple(comb(attempts, n) * rate**n * (1 - rate) ** (attempts - n) for n in range(attempts + 1))


@cache
def passing_chances(attempts: int, rate: float) -> tuple[float, ...]:
    """Return the probability of each number of passed attempts of a result that reached `min_pass_rate`."""
    gate = _gate(options.MIN_PASS_RATE, round(rate - FLOOR, 2))
    passing = [
        0.0 if _missed(check_thresholds(_run(n, attempts), gate)) else chance
        for n, chance in enumerate(chances(attempts, rate))
    ]
    total = sum(passing)
    return tuple(chance / total for chance in passing)


def fails(attempts: int, rate: float, needed: float) -> float:
    """Return the probability that an agent with this true pass rate misses `min_pass_rate`."""
    gate = _gate(options.MIN_PASS_RATE, needed)
    missed = (_missed(check_thresholds(_run(n, attempts), gate)) for n in range(attempts + 1))
    return sum(chance for chance, is_missed in zip(chances(attempts, rate), missed, strict=True) if is_missed)


def drops(attempts: int, rate: float, limit: float, *, loss: float = 0.0, literal: bool = False) -> float:
    """Return the probability that a result misses `max_pass_rate_drop`.

    The base branch has five results of this true rate that passed. `loss` is what the change really costs. With
    `literal`, a drop below the median alone misses the limit.
    """
    of_base = passing_chances(attempts, rate)
    at_least = [*reversed([*accumulate(reversed(of_base))]), 0.0]  # the probability of so many passed attempts, or more
    found = 0.0
    for n, chance in enumerate(chances(attempts, rate - loss)):
        high = at_least[lowest_medians(attempts, limit)[n]]
        others = (1 - high) if literal else (at_least[n + 1] - high)
        found += chance * sum(
            comb(MAX_BASE_RESULTS, many) * high**many * others ** (MAX_BASE_RESULTS - many)
            for many in range(MAJORITY, MAX_BASE_RESULTS + 1)
        )
    return found


@cache
def lowest_medians(attempts: int, limit: float) -> tuple[int, ...]:
    """Return for each number of passed attempts the lowest median from which the drop is too large.

    It is one more than all attempts if there is none.
    """
    found, median = [], 0
    for n in range(attempts + 1):
        while median <= attempts and not is_dropped(n, [median] * MAX_BASE_RESULTS, attempts, limit):
            median += 1
        found.append(median)
    return tuple(found)


def is_dropped(now: int, base: Sequence[int], attempts: int, limit: float) -> bool:
    """Return whether the gate fails, with these numbers of passed attempts now and on the base branch."""
    results = tuple(BaselineResult(commit="", url="", result=_result(n / attempts)) for n in base)
    gate = _gate(options.MAX_PASS_RATE_DROP, limit)
    return _missed(check_drops(_run(now, attempts), gate, Base(baseline=Baseline(results))))


def _run(passed: int, attempts: int) -> CIRun:
    return _run_of(passed / attempts)


def _run_of(rate: float) -> CIRun:
    return CIRun(numbers={PASS_RATE.name: Reading(rate)})


def _gate(option: Option[float], limit: float) -> Gate:
    return Gate(name="", campaign="", limits={option.name: limit})


@cache
def _result(rate: float) -> PreviousResult:
    gate = Gate(name="", campaign="", limits={})
    numbers = published_numbers(_run_of(rate), gate)  # a run reads them from a description
    return PreviousResult(decision=Decision.PASS, stage=Stage.HARD, numbers=numbers)


def _missed(checks: Iterable[Check]) -> bool:
    return any(check.state is CheckState.MISSED for check in checks)


# -- the tables -------------------------------------------------------------------------------------------------------


def absolute_table() -> str:
    """Return how often an agent that is as good as ever misses `min_pass_rate`."""
    cases = ((0.95, 0.9), (0.9, 0.9), (0.95, 0.85), (0.9, 0.85), (0.85, 0.85))
    heads = [f"{rate:.0%}, needs {needed:.0%}" for rate, needed in cases]
    return _table(["attempts", *heads], ([n, *(_percent(fails(n, *case)) for case in cases)] for n in ATTEMPTS))


def drop_table() -> str:
    """Return how often a limit of three points is missed, without a reason and with one."""
    rows = (
        [
            n,
            *(
                _percent(drops(n, 0.9, 0.03, loss=loss, literal=literal))
                for literal in (True, False)
                for loss in (0.0, LOSS)
            ),
        ]
        for n in ATTEMPTS
    )
    heads = ["the drop alone: harmless", "real loss", "this gate: harmless", "real loss"]
    return _table(["attempts", *heads], rows)


def limit_table() -> str:
    """Return how often a limit that fits the attempts is missed, also with fewer attempts than it takes."""
    rows = (
        [
            n,
            f"{limit} points",
            *(_percent(drops(n, rate, limit / 100)) for rate in (0.95, 0.9, 0.85)),
            *(_percent(drops(n, 0.9, limit / 100, loss=loss)) for loss in (LOSS, 2 * LOSS)),
        ]
        for n in (*FEW_ATTEMPTS, *ATTEMPTS, 400)
        for limit in [round(fitting_limit(n))]
    )
    heads = ["harmless at 95%", "at 90%", "at 85%", "90% becomes 80%", "90% becomes 70%"]
    return _table(["attempts", "limit", *heads], rows)


def fitting_limit(attempts: int) -> float:
    """Return the drop, in points, that is worth blocking with so many attempts."""
    return 70 / sqrt(attempts)


def repeat_table() -> str:
    """Return what several traces, and running again until a run passes, do to a gate of 50 attempts that needs 85%."""
    harmless, too_low = fails(50, 0.9, 0.85), 1 - fails(50, 0.8, 0.85)
    rows = ([n, _percent(1 - (1 - harmless) ** n), _percent(1 - (1 - too_low) ** n)] for n in (1, 2, 4, 8))
    return _table(["traces, or runs", "fails at 90% with so many traces", "passes at 80% within so many runs"], rows)


def _percent(chance: float) -> str:
    """Return a probability in whole percent; one that is not quite 0 or 1 is not shown as such."""
    return {"0%": "<1%", "100%": ">99%"}.get(written := f"{chance:.0%}", written)


def _table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [heads, ["---:"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


TABLES: dict[str, Callable[[], str]] = {
    "absolute": absolute_table,
    "drop": drop_table,
    "limit": limit_table,
    "repeat": repeat_table,
}

if __name__ == "__main__":
    for name, table in TABLES.items():
        print(f"{name}\n\n{table()}\n")
