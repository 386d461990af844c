"""The command line of a script that records: which scenarios, how often, and where the traces are written."""

from __future__ import annotations

import argparse
import difflib
import json
import os
import re
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from sepurux_recorder.recording import RECORDER, names
from sepurux_recorder.runs import Job, Runs

MAX_COUNT = 1_000_000
MAX_NAME = 100  # characters of a scenario's name, and bytes of its file's
OPTIONS = {
    "--times": (1, "recordings of each scenario"),
    "--parallel": (4, "recordings at a time"),
    "--timeout": (300, "seconds until an agent without an answer is ended"),
    "--max-calls": (100, "calls of tools until an agent is ended"),
}


@dataclass(frozen=True)
class Scenario:
    """A request to the agent. `calls` says how often a tool must be called: a number, or a range of numbers."""

    name: str
    request: Any
    calls: Mapping[str, int | range] = field(default_factory=dict)


def main(run: Callable[[Any], Any], scenarios: Sequence[Scenario], arguments: Sequence[str] | None = None) -> NoReturn:
    """Record the scenarios as the command line says, and exit: 0, or 1 if a recording is missing or wrong.

    `run` gives a request to the agent, and returns its answer. It is a coroutine function, or a function, which runs in
    a thread.
    """
    parser = argparse.ArgumentParser(description="Record an agent's scenarios as traces.")
    parser.add_argument("folder", type=Path, nargs="?", default="traces", help="of the traces (default: traces)")
    parser.add_argument("--only", action="append", default=[], metavar="SCENARIO", help="may be given several times")
    for option, (default, meaning) in OPTIONS.items():
        parser.add_argument(option, type=_count, default=default, metavar="N", help=f"{meaning} (default: {default})")
    options = parser.parse_args(arguments)
    if problems := _problems(run, scenarios) or _unknown(scenarios, options.only):
        parser.error("\n".join(problems))
    jobs = [
        Job(each.name, each.request, each.calls, number, options.folder / f"{_file_name(each.name)}-{number}.json")
        for number in range(1, options.times + 1)
        for each in scenarios
        if not options.only or {each.name, _file_name(each.name)} & {*options.only}
    ]
    try:
        problems = _prepare(options.folder, jobs, is_all=not options.only)
    except OSError as error:
        problems = [f"cannot write to the folder {options.folder}: {error}"]
    if problems:
        parser.error("\n".join(problems))
    os.environ["OPENAI_AGENTS_DISABLE_TRACING"] = "1"  # the Agents SDK would send traces of its own to OpenAI
    if disable := getattr(sys.modules.get("agents"), "set_tracing_disabled", None):
        disable(disabled=True)
    sys.exit(Runs(run, jobs, timeout_s=options.timeout, max_calls=options.max_calls).record(options.parallel))


def _file_name(scenario: str) -> str:
    return re.sub(r"[\W_]+", "-", scenario.casefold()).strip("-")


def _count(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text[:MAX_NAME]) <= MAX_COUNT:
        raise argparse.ArgumentTypeError(f"accepted: a whole number from 1 to {MAX_COUNT}")
    return int(text)


def _problems(run: object, scenarios: object) -> list[str]:
    """Return what is wrong with the script."""
    if not callable(run):
        return ["main(run, scenarios): `run` is no function"]
    if not isinstance(scenarios, list | tuple) or not scenarios:
        return ["main(run, scenarios): `scenarios` is not a list with at least one Scenario"]
    if others := [each for each in scenarios if not isinstance(each, Scenario)]:
        return [f"main(run, scenarios): {others[0]!r} is no Scenario"]
    problems = [text for each in scenarios for text in [*_problems_of_name(each.name), *_problems_of_calls(each)]]
    files: dict[str, list[str]] = {}
    for each in [] if problems else scenarios:
        files.setdefault(_file_name(each.name), []).append(each.name)
    same = [f"{', '.join(map(repr, found))} ({file}-1.json)" for file, found in files.items() if len(found) > 1]
    return problems + [f"scenarios with one name, or with one file: {each}" for each in same]


def _problems_of_name(name: object) -> list[str]:
    if not isinstance(name, str) or not name.isprintable() or not _file_name(name):
        return [f"the name of a scenario is a printable text with a letter or digit, not {name!a:.80}"]
    is_long = len(name) > MAX_NAME or len(_file_name(name).encode()) > MAX_NAME
    return [f"the name of a scenario has at most {MAX_NAME} characters: {name[:30]!a}…"] if is_long else []


def _problems_of_calls(scenario: Scenario) -> list[str]:
    calls: object = scenario.calls
    if not isinstance(calls, Mapping):
        return [f"`calls` of {scenario.name!a} is no dict"]
    problems = []
    for tool, expected in calls.items():
        if not (isinstance(expected, range) and len(expected)) and (type(expected) is not int or expected < 0):
            problems.append(
                f"`calls` of {scenario.name!a}: {tool!a} is not called {expected!r} times: a number or a range"
            )
        if names and tool not in names:  # without a name, stubs are made in `run`
            problems.append(f"`calls` of {scenario.name!a}: no stub has the name {tool!a}{_similar(str(tool), names)}")
    return problems


def _unknown(scenarios: Sequence[Scenario], only: Sequence[str]) -> list[str]:
    known = {name for each in scenarios for name in (_file_name(each.name), each.name)}
    return [f"--only: no scenario has the name {each!a}{_similar(each, known)}" for each in only if each not in known]


def _similar(name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(sorted(known))}"


def _prepare(folder: Path, jobs: Sequence[Job], *, is_all: bool) -> list[str]:
    """Remove the traces of earlier runs, which must not take the place of a recording that fails."""
    folder.mkdir(parents=True, exist_ok=True)
    probe = folder / f".{RECORDER}.tmp"
    probe.write_bytes(b"")
    probe.unlink()
    found = {file: _recorded_scenario(file) for file in folder.glob("*.json")}
    old = [file for file, name in found.items() if name and (is_all or name in {job.scenario for job in jobs})]
    foreign = [job.file for job in jobs if job.file in found and job.file not in old]
    for file in [] if foreign else old:
        file.unlink()
    return [f"{file} is no trace of this scenario: move it, or take another folder" for file in foreign]


def _recorded_scenario(file: Path) -> str:
    """Return the scenario of a trace that this package has written, nothing for any other file."""
    try:
        found = json.loads(file.read_bytes())
        return str(found["task"]["name"]) if found["recorder"].startswith(f"{RECORDER} ") else ""
    except (AttributeError, LookupError, OSError, RecursionError, TypeError, ValueError):
        return ""
