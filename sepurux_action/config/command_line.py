"""The flags of `sepurux-gate`, made from the table of options, and the words that differ on a command line."""

import argparse
import re
import shlex
import shutil
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple, NoReturn
from urllib.parse import urlsplit

from sepurux_action import __version__
from sepurux_action.common import json_reader, wording
from sepurux_action.common.wording import joined, optional
from sepurux_action.config import options
from sepurux_action.config.options import OPTIONS, Option, Stage, flag
from sepurux_action.config.parsers import similar
from sepurux_action.config.settings import POLICY_PATH, Gate

PROGRAM = "sepurux-gate"
WRITE_BASELINE = "--write-baseline"
WIDTH = 100  # columns of the help at most
COMMAND_WIDTH = 78  # characters of a line of a command, without the backslash at its end
HELP_COLUMN = 26  # where the text on a flag begins
FLAGS = tuple(option for option in OPTIONS if option.placeholder)
NAME_OF_FLAG = re.compile(r"--?[A-Za-z][A-Za-z_-]{0,40}")  # what an error quotes; anything else may be a secret


class CommandLine(NamedTuple):
    """The given options by name, the policy file `config`, and the files to `check`; '' and [] for the usual one."""

    texts: dict[str, str]
    config: str
    report_format: str
    write_baseline: bool
    check: list[str] | None


NO_FLAG = CommandLine({}, config="", report_format="text", write_baseline=False, check=None)
EPILOG = f"""\
Example:
  export {options.API_KEY.environment}=...   # or {options.TOKEN.environment}
  {PROGRAM} --project my-agent --campaign refunds --trace-file refund.json

The result goes to stdout. Progress, warnings, and problems in the settings go
to stderr. With --format json, only that document goes to stdout.

A flag overrides the policy file, and the file overrides environment variables.
GITHUB_REPO and PR_NUMBER are the repository and the pull request that the run
belongs to. NO_COLOR and FORCE_COLOR turn colors off and on.

With --check, a line for each gate and the problems in policy files, as
FILE:LINE: text, go to stdout. The exit status is 2 if there are problems. It
needs no network and no secret, and takes no other flag.

Exit status: 0 if nothing blocks, 1 if a fail blocks, 2 if a gate without a
result blocks or a setting is wrong, 130 after Ctrl+C, 129 after SIGHUP, 143
after SIGTERM.
"""
# What the help says in place of what is true only in a workflow.
_HELP: dict[Option[object], str] = {
    options.TRACE_FILE: "Trace files to upload and evaluate, in the working directory.",
    options.ENFORCEMENT: f"{options.ENFORCEMENT.help} On a command line, {Stage.SOFT} blocks as {Stage.HARD} does.",
    options.REPORT_DIR: "Folder for the report files, in the working directory.",
    options.MAX_PASS_RATE_DROP: "Allowed drop of the pass rate, below the median of the results in --baseline-dir.",
    options.BASELINE_DIR: "Folder with earlier results, which the evaluation is compared with.",
}
_IN_HELP = str.maketrans({"`": "", "%": "%%"})
_FORMAT_HELP = """\
What goes to stdout: lines for people, or the object of report.json.
Accepted: text or json.
Default: text."""
_CONFIG_HELP = f"Path of the policy file, which flags override.\nDefault: {POLICY_PATH}."
_CHECK_HELP = f"Only validate policy files, and show what they mean.\nDefault: {POLICY_PATH}."


def parse_command_line(arguments: Sequence[str]) -> CommandLine:
    """Exit with status 0 for --help and --version, 2 for problems. Those quote no value, as any may be a secret."""
    made = _parser()
    try:
        known, unknown = made.parse_known_args(arguments)
    except argparse.ArgumentError as error:
        without_value = re.split("['\"]", str(error.message))[0].rstrip(": ")
        _reject(made, f"{error.argument_name}: {without_value}")
    if unknown:
        quotes = "; put quotes around globs" if getattr(known, options.TRACE_FILE.name) else ""
        flags = [each for action in made._actions for each in action.option_strings]  # noqa: SLF001 - no public name
        named = [each for each in (each.partition("=")[0] for each in unknown) if NAME_OF_FLAG.fullmatch(each)]
        problems = [f"{each} is not known{optional('; did you mean {}?', similar(each, flags))}" for each in named]
        _reject(made, *(problems or [f"an argument belongs to no flag{quotes}"]))
    given = vars(known)
    own = {name: given.pop(name) for name in ("config", "report_format", "write_baseline", "check")}
    listed = {name: "\n".join(each) for name, each in given.items() if isinstance(each, list)}
    texts = {name: each for name, each in {**given, **listed}.items() if each is not None}
    command = CommandLine(texts, **own)
    if command.check is not None and command != NO_FLAG._replace(check=command.check):
        _reject(made, "--check takes no other flag")
    return command


def _parser() -> argparse.ArgumentParser:
    width = min(shutil.get_terminal_size().columns - 2, WIDTH)
    made = argparse.ArgumentParser(
        prog=PROGRAM,
        usage=f"{PROGRAM} --campaign NAME [options]\n       {PROGRAM} --check [FILE ...]",
        description="Evaluate an agent at Sepurux, and compare the result with thresholds.",
        epilog=EPILOG,
        formatter_class=partial(_Formatter, max_help_position=HELP_COLUMN, width=width),
        allow_abbrev=False,
        exit_on_error=False,
        add_help=False,
    )
    add = made.add_argument
    for option in FLAGS:
        action, accepted = "store", f"Accepted: {option.accepts}."
        if option.form is list:
            action, accepted = "append", f"Accepted: {option.accepts}, or the flag several times."
        given = optional("Default: {}.", option.default_shown), optional("Environment: {}.", option.environment)
        text = on_command_line(joined("\n", _HELP.get(option, option.help), accepted, *given)).translate(_IN_HELP)
        add(flag(option.name), dest=option.name, action=action, metavar=option.placeholder, help=text)
        for alias in option.aliases:
            add(flag(alias), dest=alias, help=argparse.SUPPRESS)
    add("--config", default="", metavar="FILE", help=_CONFIG_HELP)
    add("--format", dest="report_format", choices=("text", "json"), default="text", metavar="FORMAT", help=_FORMAT_HELP)
    add(WRITE_BASELINE, action="store_true", help=f"Add the result to {flag(options.BASELINE_DIR.name)}.")
    add("--check", nargs="*", metavar="FILE", help=_CHECK_HELP)
    add("--version", action="version", version=f"%(prog)s {__version__}", help="Show the version.")
    add("-h", "--help", action="help", help="Show everything about each flag.")
    return made


class _Formatter(argparse.RawDescriptionHelpFormatter):
    def _split_lines(self, text: str, width: int) -> list[str]:
        return [line for part in text.splitlines() for line in textwrap.wrap(part, width, break_on_hyphens=False)]


def _reject(made: argparse.ArgumentParser, *problems: str) -> NoReturn:
    lines = (*(f"{PROGRAM}: {each}" for each in problems), f"Run `{PROGRAM} --help` to see all flags.", "")
    made.exit(2, "\n".join(lines))


# The parameters of a sentence that is read in a workflow, or on a command line.
_OF_WORKFLOW = {"rerun": "re-run the job", "Rerun": "Re-run the job"}
_OF_WORKFLOW |= {option.name: f"`{option.name}`" for option in OPTIONS}
_OF_COMMAND_LINE = {**_OF_WORKFLOW, "rerun": "run the command again", "Rerun": "Run the command again"}
_OF_COMMAND_LINE |= {
    option.name: option.environment if option in options.SECRETS else flag(option.name) for option in FLAGS
}
_PARAMETER = re.compile(r"\{(\w+)\}")


def _with(words: Mapping[str, str], sentence: str) -> str:
    """Return a sentence with words in place of its parameters: names of inputs, or flags and variables for secrets."""
    return _PARAMETER.sub(lambda parameter: words.get(parameter[1], parameter[0]), sentence)


in_workflow = partial(_with, _OF_WORKFLOW)
on_command_line = partial(_with, _OF_COMMAND_LINE)


def command_lines(gate: Gate, host: str) -> Iterator[str]:
    """Yield the lines for a shell, with variables for the secret, and the base URL if `host` is not the vendor's."""
    yield f"export {options.API_KEY.environment}=...   # or {options.TOKEN.environment}"
    if host and host != urlsplit(options.BASE_URL.default).hostname:
        yield f"export {options.BASE_URL.environment}=...   # the workflow's {options.BASE_URL.name}"
    # What matters to an evaluation; no drop, because a command line has no base branch.
    given: list[tuple[Option[object], str]] = [(options.CAMPAIGN, gate.campaign)]
    try:
        options.NAME.read(json_reader.printable(gate.campaign))
    except ValueError:  # so it cannot be the gate's name too
        given.append((options.NAME, gate.name))
    ids = ",".join(trace.trace_id for trace in gate.traces if trace.content is None)
    given += [(options.PROJECT, gate.project), (options.TRACE_ID, ids)]
    given += [(options.TRACE_FILE, trace.label) for trace in gate.traces if trace.content is not None]
    given.append((options.MUTATION_PACK, gate.mutation_pack))
    limits = (each for each in options.LIMITS if each.name in gate.limits and each is not options.MAX_PASS_RATE_DROP)
    given += [(each, wording.decimal(gate.limits[each.name])) for each in limits]
    given.append((options.REQUIRED_MUTATION_CATEGORIES, ",".join(gate.required_mutation_categories)))
    lines = [PROGRAM]
    for option, text in given:
        if not (value := json_reader.printable(text)):
            continue
        between = "=" if value.startswith("-") else " "  # a value that looks like a flag needs `=`
        argument = f"{flag(option.name)}{between}{shlex.quote(value)}"
        if len(f"{lines[-1]} {argument}") > COMMAND_WIDTH:
            lines.append(" ")
        lines[-1] += f" {argument}"
    yield " \\\n".join(lines)
