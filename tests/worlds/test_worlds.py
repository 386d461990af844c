"""Random worlds: the whole step does what the documents say."""

import json
import os
import re
from pathlib import Path

import pytest

from tests.worlds.harness import Observed, run_world
from tests.worlds.model import Expected, expected
from tests.worlds.worlds import make_world

WORLDS = 2_000 if os.environ.get("CI") else 400
OF_ONE_TEST = 40
MOST_WITH_SCENARIOS = 140 - len("; 3 scenarios")  # characters of a description that has room for their number
ROOT = Path(__file__).resolve().parents[2]
SHOWN = Path("build") / "worlds"  # a file for each world that differs


@pytest.mark.parametrize("first", range(0, WORLDS, OF_ONE_TEST))
def test_a_run_does_what_the_documents_say(first: int, tmp_path: Path) -> None:
    shown = list[str]()
    for seed in range(first, first + OF_ONE_TEST):
        world, folder = make_world(seed), tmp_path / str(seed)
        folder.mkdir()
        wanted, seen = expected(world), run_world(world, folder)
        if found := differences(wanted, seen):
            path = SHOWN / f"{seed}.txt"
            (ROOT / SHOWN).mkdir(parents=True, exist_ok=True)
            (ROOT / path).write_text("\n".join([*found, str(world), str(wanted), seen.log]), encoding="utf-8")
            shown.append(f"world {seed}: {found[0]} ({path})")
    if shown:
        pytest.fail("\n".join(shown), pytrace=False)


def differences(wanted: Expected, seen: Observed) -> list[str]:
    outputs = seen.outputs
    stages = "".join({gate["stage"] for gate in json.loads(outputs["gates"])})
    pairs: list[tuple[str, object, object]] = [
        ("exit status", wanted.exit_status, seen.exit_status),
        ("decision", wanted.decision, outputs["decision"]),
        ("conclusion", wanted.conclusion, outputs["conclusion"]),
        ("enforcement", wanted.enforcement or stages, stages),
        ("statuses", dict(wanted.statuses), dict(seen.statuses)),
        ("comments", wanted.comments, seen.comments),
    ]
    shown = [float(count) for count in re.findall(r"; (\d+) scenarios?$", seen.description)]
    if wanted.scenarios is not None and (shown or len(seen.description) <= MOST_WITH_SCENARIOS):
        pairs.append(("scenarios", wanted.scenarios, shown))
    if wanted.started is not None:
        pairs.append(("CI runs started", wanted.started, seen.started))
    if wanted.sent is not None:
        pairs.append(("thresholds sent", dict(wanted.sent), dict(seen.sent)))
    pairs += [
        (name, number, float(outputs[name]) if outputs[name] else None) for name, number in wanted.numbers.items()
    ]
    return [f"{name}: {model!r} by the documents, {run!r} by the gate" for name, model, run in pairs if model != run]
