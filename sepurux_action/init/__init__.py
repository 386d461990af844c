"""`sepurux-gate init`: writes a script that records an agent, and a workflow that evaluates what it recorded."""

import argparse
import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.resources import files
from pathlib import Path

from sepurux_action.config import options

SCRIPT, WORKFLOW = Path("record_traces.py"), Path(".github", "workflows", "sepurux.yml")
FRAMEWORKS = ("openai-agents", "langchain", "openai", "plain")
FLAGS = {
    "project": "name or UUID of the project at Sepurux",
    "campaign": "name or UUID of the campaign",
    "framework": "what the agent is made with: openai-agents, langchain (also for LangGraph), openai, or plain",
}
QUESTIONS = {**FLAGS, "framework": f"{FLAGS['framework']} [plain]"}
MADE_UP = re.compile("(project|campaign): (?:my-agent|core-reliability)")  # in the text of the workflow
NEEDS_NO_QUOTES = re.compile("[a-z]+(-[a-z0-9]+)+")  # in a YAML mapping on one line


def main(arguments: Sequence[str]) -> int:
    """Write both files; return 1 if one exists, or if a value is missing or wrong. Exits for --help."""
    about = f"Write {SCRIPT} and {WORKFLOW} in this folder, the root of a repository. Overwrites nothing."
    parser = argparse.ArgumentParser(prog="sepurux-gate init", description=about, allow_abbrev=False)
    for name, text in FLAGS.items():
        parser.add_argument(f"--{name}", metavar="NAME", help=text)
    try:
        for path, text in _new_files(vars(parser.parse_args(arguments))).items():
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as file:  # follows no symbolic link
                file.write(text)
    except ValueError as error:
        print(f"sepurux-gate init: {error}; nothing was written", file=sys.stderr)
    except OSError as error:
        print(f"sepurux-gate init: {error.filename} could not be written: {error.strerror}", file=sys.stderr)
    else:
        print(files(__package__).joinpath("next.txt").read_text(encoding="utf-8"), end="")
        return 0
    return 1


def _new_files(given: Mapping[str, str | None]) -> dict[Path, str]:
    """Return the text of each file; raises ValueError if one exists, before anything is asked for."""
    if existing := [str(path) for path in (SCRIPT, WORKFLOW) if os.path.lexists(path)]:
        raise ValueError(f"this folder has {' and '.join(existing)} already")
    above = [folder for folder in Path.cwd().parents if (folder / ".git").exists()]
    if above and not Path(".git").exists():
        raise ValueError(f"GitHub runs only workflows in the root of a repository; change to {above[0]}")
    values = _complete(given)
    quoted = {name: json.dumps(text, ensure_ascii=False) for name, text in values.items()}
    quoted |= {name: text for name, text in values.items() if NEEDS_NO_QUOTES.fullmatch(text)}
    names = f"record_{values['framework'].replace('-', '_')}.txt", "quick-start.txt"
    script, workflow = (files(__package__).joinpath(name).read_text(encoding="utf-8") for name in names)
    # first the one that needs folders, which may not be possible
    return {WORKFLOW: MADE_UP.sub(lambda found: f"{found[1]}: {quoted[found[1]]}", workflow), SCRIPT: script}


def _complete(given: Mapping[str, str | None]) -> dict[str, str]:
    """Return the value of each flag, which a terminal asks for if it is not given; raises ValueError."""
    values = {name: (text or "").strip() for name, text in given.items()}
    if sys.stdin.isatty() and sys.stdout.isatty():
        with suppress(EOFError):
            missing = [name for name, text in values.items() if not text]
            values |= {name: input(f"{QUESTIONS[name]}: ").strip() for name in missing}
            values["framework"] = values["framework"] or "plain"
    if missing := [f"--{name}" for name, text in values.items() if not text]:
        raise ValueError(f"give {' and '.join(missing)}")
    if values["framework"] not in FRAMEWORKS:
        raise ValueError(f"--framework is not accepted: it is none of {', '.join(FRAMEWORKS)}")
    for option in (options.PROJECT, options.CAMPAIGN, options.NAME):  # the campaign names the gate too
        name = "campaign" if option is options.NAME else option.name
        try:
            option.read(values[name])
        except ValueError as error:
            raise ValueError(f"--{name} is not accepted: {error}") from None
    return values
