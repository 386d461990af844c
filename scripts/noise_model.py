"""Simulates evaluations of an agent whose recordings differ, and decides them with the gate's own functions.

An agent has scenarios. Each recording of one is sound or broken; a broken one passes none of its attempts, or half of
them. The same seed draws the same runs with each version of Python.
"""

import sys
from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from math import comb, exp
from pathlib import Path
from random import Random
from statistics import NormalDist, fmean, median_low
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from sepurux_action.config.options import (
    MAX_PASS_RATE_DROP,
    MAX_UNSAFE,
    MIN_PASS_RATE,
    MIN_SCENARIO_PASS_RATE,
    Stage,
)
from sepurux_action.config.settings import Gate, Trace
from sepurux_action.evaluation.decision import decide_gate
from sepurux_action.evaluation.gate_numbers import MIN_RESULTS, Base
from sepurux_action.evaluation.metrics import PASS_RATE, UNSAFE_ATTEMPTS
from sepurux_action.evaluation.results import MAX_BASE_RESULTS, Result, published_numbers
from sepurux_action.evaluation.runs import Decision, Runs, decide, parse_run

ATTEMPTS = 4  # in each recording
SOUND, HALF = 0.98, 0.5  # the share of attempts that pass in a sound recording, and in every second broken one
BROKEN = HALF / 2  # the same share in all broken recordings
UNSAFE = 0.1  # the share of broken recordings that have unsafe attempts
SPREAD = 2.0  # the sum of the parameters of the beta distribution of scenarios: with less, more are near 0 and 1
STEPS = 10_000  # of the integral over that distribution
RELIABLE = 0.8  # of the recordings of a scenario are sound
LUCK = 0.3  # standard deviation of the luck that all recordings of a run share, in log-odds: 3 points at 90%

Limits = Mapping[str, float]  # by the name of a threshold
NO_BASE = Base(results=())


# -- the gate ---------------------------------------------------------------------------------------------------------


def decided(limits: Limits, rate: float, *, unsafe: bool = False, base: Base = NO_BASE) -> Decision:
    """Return the gate's decision on an evaluation that has one scenario with this pass rate."""
    return decide_gate(_gate(limits), _runs(rate, unsafe=unsafe), base).decision


def base_of(limits: Limits, rates: Iterable[float]) -> Base:
    """Return what a gate is compared with after evaluations of the base branch with these pass rates."""
    gate = _gate(limits)
    numbers = (published_numbers(_runs(rate)[0].numbers, gate) for rate in rates)  # a run reads them from a description
    results = (Result(decision=Decision.PASS, stage=Stage.HARD, numbers=each) for each in numbers)
    return Base(results=tuple(results))


def _gate(limits: Limits) -> Gate:
    return Gate(name="", campaign="", traces=(Trace(label="", trace_id="t"),), limits=limits)


def _runs(rate: float, *, unsafe: bool = False) -> Runs:
    numbers = {PASS_RATE.name: rate, UNSAFE_ATTEMPTS.name: int(unsafe), "trace_count": 1}
    return (decide(parse_run({"decision": Decision.PASS, **numbers})),)


@cache
def least(option: str, limit: float | None, attempts: int, median: int | None = None) -> int:
    """Return the least doubled number of passed attempts that meets a threshold, 0 if it is not set.

    For a drop, `median` is the doubled number of each result of the base.
    """
    limits, every = {option: limit or 0.0}, range(2 * attempts + 1)
    base = NO_BASE if median is None else base_of(limits, [median / every[-1]] * MAX_BASE_RESULTS)

    def is_met(passed: int) -> bool:
        return decided(limits, passed / every[-1], base=base) is Decision.PASS

    return 0 if limit is None else bisect_left(every, 1, key=is_met)


class SimulatedRun(NamedTuple):
    """What a run reports: twice the attempts that passed, of all and of the worst scenario, and if any was unsafe."""

    passed: int
    lowest: int
    unsafe: bool


class Policy:
    """What decides runs with so many attempts, and so many of one scenario."""

    def __init__(self, limits: Limits, attempts: int, of_scenario: int) -> None:
        self.attempts = attempts
        self.drop = limits.get(MAX_PASS_RATE_DROP.name)
        self.minimum = least(MIN_PASS_RATE.name, limits.get(MIN_PASS_RATE.name), attempts)
        self.lowest = least(MIN_SCENARIO_PASS_RATE.name, limits.get(MIN_SCENARIO_PASS_RATE.name), of_scenario)
        counts = {name: limit for name, limit in limits.items() if name == MAX_UNSAFE.name}
        self.unsafe_fails = decided(counts, 1.0, unsafe=True) is Decision.FAIL

    def after(self, runs: Iterable[SimulatedRun]) -> int:
        """Return the least doubled number of passed attempts that the gate accepts after these runs of main."""
        required, results = self.minimum, deque[int](maxlen=MAX_BASE_RESULTS)
        for run in runs:
            if run.passed >= self.minimum and not (run.unsafe and self.unsafe_fails):
                results.append(run.passed)
            if len(results) >= MIN_RESULTS:
                after_median = least(MAX_PASS_RATE_DROP.name, self.drop, self.attempts, median_low(results))
                required = max(self.minimum, min(after_median, *results))
        return required

    def fails(self, run: SimulatedRun, required: int) -> bool:
        return run.passed < required or run.lowest < self.lowest or (run.unsafe and self.unsafe_fails)


# -- the agent --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Agent:
    """An agent whose attempts pass at this `rate` on average, less a `loss` that is spread over all scenarios.

    Its most reliable scenario `never_passes`, or `mostly_fails`: each recording of it is broken. If it is `reliable`,
    RELIABLE recordings of each scenario or more are sound, so it has a higher rate. `luck` is that of a whole run, as
    LUCK.
    """

    rate: float = 0.9
    loss: float = 0.0
    never_passes: bool = False
    mostly_fails: bool = False
    reliable: bool = False
    luck: float = LUCK

    def breaking(self, scenarios: int) -> list[float]:
        """Return for each scenario the probability that a recording of it is broken."""
        found = _breaking((self.rate - BROKEN) / (SOUND - BROKEN), scenarios, reliable=self.reliable)
        kept = 1 - self.loss / (SOUND - BROKEN) / (1 - fmean(found))
        found = tuple(1 - kept * (1 - each) for each in found)
        return [1.0, *found[1:]] if self.mostly_fails or self.never_passes else [*found]

    def runs(self, scenarios: int, recordings: int, rng: Random) -> Iterator[SimulatedRun]:
        breaking = self.breaking(scenarios)
        passing = {
            NONE_PASSES * none + HALF_PASS * half: _passed(recordings - none - half, half, rng)
            for none in range(recordings + 1)
            for half in range(recordings - none + 1)
        }

        def passed(kinds: Sequence[int]) -> list[int]:
            found = [next(passing[kind]) for kind in kinds]
            return [0, *found[1:]] if self.never_passes else found

        while True:
            luck = exp(self.luck * NormalDist().inv_cdf(rng.random()))
            chances = [each / (each + (1 - each) * luck) for each in breaking]
            kinds = _kinds(chances, recordings, rng)
            found = passed(kinds)
            broken = sum(map(sum, (divmod(kind, HALF_PASS) for kind in kinds)))
            yield SimulatedRun(2 * sum(found), 2 * min(found), unsafe=rng.random() >= (1 - UNSAFE) ** broken)


NONE_PASSES, HALF_PASS = 1, 10  # added for each broken recording of a scenario: at most nine of each


@cache
def _breaking(sound: float, scenarios: int, *, reliable: bool) -> tuple[float, ...]:
    """Return the share of broken recordings of so many scenarios, as the beta distribution has them on average.

    With u = (1 - x)^b, the density of u is in proportion to x^(a - 1), which has no pole.
    """
    a, b = SPREAD * sound, SPREAD * (1 - sound)
    every = [((each + 0.5) / STEPS) ** (1 / b) for each in range(STEPS)]
    found = [each for each in every if each <= 1 - RELIABLE or not reliable]
    shares = [*accumulate((1 - each) ** (a - 1) for each in found)]
    return tuple(found[bisect_left(shares, shares[-1] * (at + 0.5) / scenarios)] for at in range(scenarios))


def _kinds(chances: Sequence[float], recordings: int, rng: Random) -> list[int]:
    """Return for each scenario which recordings are broken, which each is with the scenario's chance."""
    random, found = rng.random, [0] * len(chances)
    for _ in range(recordings):
        found = [
            kinds if (drawn := random()) >= chance else kinds + (NONE_PASSES if drawn < chance / 2 else HALF_PASS)
            for kinds, chance in zip(found, chances, strict=True)
        ]
    return found


def _passed(sound: int, half: int, rng: Random) -> Iterator[int]:
    """Yield how many attempts pass, of so many sound recordings and so many of which half of the attempts pass."""
    weights = [0.0] * ((sound + half) * ATTEMPTS + 1)
    for one, chance in enumerate(binomial(sound * ATTEMPTS, SOUND)):
        for other, of_half in enumerate(binomial(half * ATTEMPTS, HALF)):
            weights[one + other] += chance * of_half
    cumulative = [*accumulate(weights)]
    while True:
        yield from rng.choices(range(len(weights)), cum_weights=cumulative, k=1_000)


@cache
def binomial(attempts: int, rate: float) -> tuple[float, ...]:
    """Return the probability of each number of passed attempts, from 0 on."""
    return tuple(comb(attempts, n) * rate**n * (1 - rate) ** (attempts - n) for n in range(attempts + 1))
