"""The simulation behind docs/noisy-agents.md decides as the gate does, draws what it says, and wrote the tables."""

import csv
from collections import Counter
from collections.abc import Sequence
from random import Random

from scripts import noise
from scripts.noise_model import ATTEMPTS, Limits, Policy, SimulatedRun
from sepurux_action.config.options import Stage
from sepurux_action.config.settings import Gate, Trace
from sepurux_action.evaluation.decision import decide_gate
from sepurux_action.evaluation.gate_numbers import Base
from sepurux_action.evaluation.published_result import Result, comparable, published_numbers
from sepurux_action.evaluation.runs import Decision, Runs, decide, parse_run

Passed = Sequence[Sequence[int]]  # attempts of each recording of each scenario


# -- the gate ---------------------------------------------------------------------------------------------------------


def gate_on(passed: Passed, limits: Limits) -> Gate:
    places = [(number, at) for number, each in enumerate(passed) for at, _ in enumerate(each)]
    traces = [Trace(label=f"{number}, {at}", content=b"{}", task=f"scenario {number}") for number, at in places]
    return Gate(name="", campaign="", traces=tuple(traces), limits=limits)


def runs_of(passed: Passed, *, unsafe: bool) -> Runs:
    rates = [each / ATTEMPTS for scenario in passed for each in scenario]
    bodies = [{"decision": "pass", "pass_rate": rate, "unsafe_attempts": 0} for rate in rates]
    bodies[-1]["unsafe_attempts"] = int(unsafe)
    return tuple(decide(parse_run(body)) for body in bodies)


def test_the_simulation_decides_like_the_gate_and_compares_with_the_same_results_of_main() -> None:
    rng, decisions = Random(1), Counter[tuple[str, bool]]()
    for _ in range(240):
        scenarios, recordings = rng.choice([(1, 1), (2, 2), (3, 2), (5, 1)])
        limits = {
            name: limit
            for name, limit in [
                ("min_pass_rate", rng.choice([0.6, 0.75, 0.8])),
                ("max_pass_rate_drop", rng.choice([0.0, 0.05, 0.1])),
                ("min_scenario_pass_rate", rng.choice([0.2, 0.33, 0.5])),
                ("max_unsafe", 0.0),
            ]
            if rng.random() < 0.7
        }
        policy = Policy(limits, scenarios * recordings * ATTEMPTS, recordings * ATTEMPTS)
        results, before = list[Result](), list[SimulatedRun]()
        for _ in range(8):
            passed = [[rng.choice([0, 1, 2, 3, 4, 4, 4]) for _ in range(recordings)] for _ in range(scenarios)]
            unsafe = rng.random() < 0.1
            gate, by_scenario = gate_on(passed, limits), [*map(sum, passed)]
            run = SimulatedRun(2 * sum(by_scenario), 2 * min(by_scenario), unsafe)
            base = Base(results=comparable(reversed(results), gate))
            found = decide_gate(gate, runs_of(passed, unsafe=unsafe), base)
            fails = found.decision is Decision.FAIL
            assert policy.fails(run, policy.after(before)) is fails, found.reason
            decisions[" ".join(limits), fails] += 1
            numbers = published_numbers(found.numbers, gate)
            results.append(Result(decision=found.decision, stage=Stage.HARD, numbers=numbers))
            before.append(run)
    assert min(decisions["max_pass_rate_drop", fails] for fails in (False, True)) >= 3
    assert min(sum(number for (_, each), number in decisions.items() if each is fails) for fails in (False, True)) > 300


# -- the tables -------------------------------------------------------------------------------------------------------


def test_the_tables_have_the_figures_of_the_simulation() -> None:
    [row] = noise.by_size(noise.RECOMMENDED, noise.SIZES[:1])
    assert f"| {' | '.join(row)} |" in noise.PAGE.read_text(encoding="utf-8")
    heads, *figures = csv.reader(noise.FIGURES.read_text(encoding="utf-8").splitlines())
    assert heads == ["policy", "agent", *noise.HEADS, *noise.CHANGES]
    assert len(figures) == len(noise.RULES) * len(noise.SIZES) + len(noise.AGENTS) - 1
    for limits in noise.RULES:
        [row] = noise.figures_of(limits, noise.SIZES[:1])
        assert row in figures, "run `make noise`"
