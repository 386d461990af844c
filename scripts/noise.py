"""Computes how often chance decides a gate: the table of docs/policy.md, and all figures in docs/noise.csv.

`make noise` writes both in some 20 seconds, so a test computes only a part. scripts/noise_model.py has the model.
"""

import csv
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from io import StringIO
from itertools import islice, product
from math import floor
from pathlib import Path
from random import Random
from statistics import fmean

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from scripts import generate
from scripts.noise_model import ATTEMPTS, BROKEN, LUCK, SOUND, Agent, Limits, Policy, SimulatedRun
from sepurux_action.config.options import MAX_PASS_RATE_DROP, MAX_UNSAFE, MIN_PASS_RATE, MIN_SCENARIO_PASS_RATE

RUNS_OF_MAIN = 15  # before the pull request
TRIALS = 2_000  # in each cell: the standard error is at most 1.1 points
SCENARIOS, RECORDINGS = (10, 20, 50, 100), (1, 3, 5)
FLOOR = 0.1  # `min_pass_rate` is so far below what is usual, rounded down to whole percent
DROP, SCENARIO = 0.05, 0.2
RECOMMENDED = {MIN_PASS_RATE.name: FLOOR, MAX_PASS_RATE_DROP.name: DROP, MIN_SCENARIO_PASS_RATE.name: SCENARIO}
RULES: tuple[Limits, ...] = (
    {MIN_PASS_RATE.name: FLOOR},
    *({MAX_PASS_RATE_DROP.name: limit} for limit in (0.03, DROP)),
    *({MIN_SCENARIO_PASS_RATE.name: limit} for limit in (SCENARIO, 0.33, 0.5)),
    {MAX_UNSAFE.name: 0},
    RECOMMENDED,
    {**RECOMMENDED, MAX_UNSAFE.name: 0},
)
USUAL = Agent(reliable=True)
CHANGES = {
    "harmless": USUAL,
    "5 points lost": replace(USUAL, loss=0.05),
    "10 points lost": replace(USUAL, loss=0.1),
    "one scenario never passes": replace(USUAL, never_passes=True),
    "one mostly fails": replace(USUAL, mostly_fails=True),
    "harmless, unreliable scenarios too": Agent(),
}
AGENTS = {
    "usual": USUAL,
    "no shared luck": replace(USUAL, luck=0.0),
    "twice the shared luck": replace(USUAL, luck=2 * LUCK),
}
HEADS = ("scenarios", "recordings of each")
SIZES = tuple(product(SCENARIOS, RECORDINGS))
SIZE = (20, 3)  # of the rows that compare agents
SHOWN = ((10, 1), (10, 5), (20, 1), SIZE, (50, 3))  # of the sizes, in docs/policy.md
PAGE, FIGURES = ROOT / "docs" / "policy.md", ROOT / "docs" / "noise.csv"


def blocked(limits: Limits, agent: Agent, scenarios: int, recordings: int) -> float:
    """Return the share of pull requests that a policy blocks, each after RUNS_OF_MAIN without a change."""
    unchanged = replace(agent, loss=0, never_passes=False, mostly_fails=False)
    policy, after_main = _on_main(tuple(limits.items()), unchanged, scenarios, recordings)
    changed = _runs_of(agent, scenarios, recordings, "pull request")
    return fmean(policy.fails(*each) for each in zip(changed, after_main, strict=True))


@cache
def _on_main(
    named: tuple[tuple[str, float], ...], agent: Agent, scenarios: int, recordings: int
) -> tuple[Policy, Sequence[int]]:
    """Return what decides the pull requests of an agent, and what each requires after its runs of main."""
    limits, of_scenario = dict(named), recordings * ATTEMPTS
    if MIN_PASS_RATE.name in limits:
        limits[MIN_PASS_RATE.name] = minimum(agent, scenarios)
    policy = Policy(limits, scenarios * of_scenario, of_scenario)
    runs, rng = _runs_of(agent, scenarios, recordings, "main"), Random(0)
    before = RUNS_OF_MAIN if MAX_PASS_RATE_DROP.name in limits else 0
    return policy, [policy.after(rng.choices(runs, k=before)) for _ in range(TRIALS)]


def usual_rate(agent: Agent, scenarios: int) -> float:
    return SOUND - (SOUND - BROKEN) * fmean(agent.breaking(scenarios))


def minimum(agent: Agent, scenarios: int) -> float:
    """Return the `min_pass_rate` that suits an agent."""
    return floor(100 * (usual_rate(agent, scenarios) - FLOOR)) / 100


@cache
def _runs_of(agent: Agent, scenarios: int, recordings: int, of: str) -> tuple[SimulatedRun, ...]:
    rng = Random(f"{agent} {scenarios} {recordings} {of}")
    return tuple(islice(agent.runs(scenarios, recordings, rng), TRIALS))


def by_size(limits: Limits, sizes: Iterable[tuple[int, int]] = SIZES) -> Iterator[list[str]]:
    """Yield the cells of a row for each size."""
    for size in sizes:
        yield [*map(str, size), *(_cell(limits, agent, size) for agent in CHANGES.values())]


def changes_of(agent: Agent) -> Iterator[Agent]:
    """Yield an agent of this kind after each change."""
    return (replace(each, luck=agent.luck) for each in CHANGES.values())


def _cell(limits: Limits, agent: Agent, size: tuple[int, int]) -> str:
    return _percent(blocked(limits, agent, *size))


def _percent(chance: float) -> str:
    """Return a probability in whole percent; one that is not quite 0 or 1 is not shown as such."""
    return {"0%": "<1%", "100%": ">99%"}.get(written := f"{chance:.0%}", written)


def _name(limits: Limits) -> str:
    if RECOMMENDED.items() <= limits.items():
        return "the policy with max_unsafe: 0" if MAX_UNSAFE.name in limits else "the policy"
    [(name, limit)] = limits.items()
    if name == MIN_PASS_RATE.name:
        return f"{name}, some {limit * 100:.0f} points below what is usual"
    return f"{name}: {limit:.0%}" if limit else f"{name}: 0"


def policy_table() -> str:
    """Return the table of docs/policy.md: how often the recommended policy blocks."""
    heads = [*HEADS, *CHANGES]
    rows = [heads, ["---:"] * len(heads), *by_size(RECOMMENDED, SHOWN)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def figures() -> str:
    """Return a table as CSV: how often each policy blocks, for each size and agent."""
    text = StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["policy", "agent", *HEADS, *CHANGES])
    for limits in RULES:
        table.writerows(figures_of(limits))
    for name, agent in AGENTS.items():
        if agent != USUAL:
            cells = (_cell(RECOMMENDED, each, SIZE) for each in changes_of(agent))
            table.writerow([_name(RECOMMENDED), name, *map(str, SIZE), *cells])
    return text.getvalue()


def figures_of(limits: Limits, sizes: Iterable[tuple[int, int]] = SIZES) -> Iterator[list[str]]:
    """Yield the rows of a policy."""
    for row in by_size(limits, sizes):
        yield [_name(limits), "usual", *row]


def files() -> Iterator[tuple[Path, str]]:
    """Yield each file with simulated figures."""
    yield PAGE, generate.with_blocks(PAGE.read_text(encoding="utf-8"), {"policy": policy_table})
    yield FIGURES, figures()


if __name__ == "__main__":
    generate.write(files())
