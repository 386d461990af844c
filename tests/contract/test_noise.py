"""The table of docs/policy.md and docs/noise.csv have the figures of the simulation."""

import csv

from scripts import noise


def test_the_tables_have_the_figures_of_the_simulation() -> None:
    [row] = noise.by_size(noise.RECOMMENDED, noise.SIZES[:1])
    assert f"| {' | '.join(row)} |" in noise.PAGE.read_text(encoding="utf-8")
    heads, *figures = csv.reader(noise.FIGURES.read_text(encoding="utf-8").splitlines())
    assert heads == ["policy", "agent", *noise.HEADS, *noise.CHANGES]
    assert len(figures) == len(noise.RULES) * len(noise.SIZES) + len(noise.AGENTS) - 1
    for limits in noise.RULES:
        [row] = noise.figures_of(limits, noise.SIZES[:1])
        assert row in figures, "run `make noise`"
