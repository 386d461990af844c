"""The flags of `sepurux-gate`, made from the table of options, and the words that differ on a command line."""

import argparse
import re
import textwrap
from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple, NoReturn

from sepurux_action import __version__
from sepurux_action.common.wording import joined, optional
from sepurux_action.config import options
from sepurux_action.config.options import OPTIONS, flag
from sepurux_action.config.parsers import similar
from sepurux_action.config.settings import POLICY_PATH

PROGRAM = "sepurux-gate"
WRITE_BASELINE = "--write-baseline"
FLAGS = tuple(option for option in OPTIONS if option.placeholder)
CONNECTION = (options.BASE_URL, *options.SECRETS)  # what names a backend, and opens it
NAME_OF_FLAG = re.compile(r"--?[A-Za-z][A-Za-z_-]{0,40}")  # what an error quotes; anything else may be a secret


class CommandLine(NamedTuple):
    """The given options by name, the policy file `config`, and the files to `check`; '' and [] for the usual one.

    With `sandbox`, the embedded backend evaluates. `approvals` and `reversible` are parameters of its rules.
    """

    texts: dict[str, str]
    config: str
    report_format: str
    write_baseline: bool
    check: list[str] | None
    sandbox: bool
    approvals: list[str]
    reversible: list[str]


NO_FLAG = CommandLine({}, "", "text", write_baseline=False, check=None, sandbox=False, approvals=[], reversible=[])
EPILOG = f"""\
Example:
  export {options.API_KEY.environment}=...   # or {options.TOKEN.environment}
  {PROGRAM} --project my-agent --campaign refunds --trace-file refund.json

A flag overrides the policy file, and the file overrides environment variables.

Exit status: 0 if nothing blocks, 1 if a fail blocks, 2 if a gate without a
result blocks or a setting is wrong.
"""
_IN_HELP = str.maketrans({"`": "", "%": "%%"})
_FORMAT_HELP = "Lines for people on stdout, or the object of report.json.\nAccepted: text or json.\nDefault: text."
_CONFIG_HELP = f"Path of the policy file, which flags override.\nDefault: {POLICY_PATH}."
_SANDBOX_HELP = "Evaluate by the rules of the embedded sandbox. Needs no account, and sends nothing to Sepurux."
_APPROVAL_HELP = "With --sandbox: an argument of a tool that shows an approval; repeatable.\nDefault: approval_token."
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
        flags = [each for action in made._actions for each in action.option_strings]  # noqa: SLF001 - no public name
        named = [each for each in (each.partition("=")[0] for each in unknown) if NAME_OF_FLAG.fullmatch(each)]
        problems = [f"{each} is not known{optional('; did you mean {}?', similar(each, flags))}" for each in named]
        _reject(made, *(problems or ["an argument belongs to no flag; put quotes around globs"]))
    given = vars(known)
    own = {name: given.pop(name) for name in CommandLine._fields[1:]}
    listed = {name: "\n".join(each) for name, each in given.items() if isinstance(each, list)}
    texts = {name: each for name, each in {**given, **listed}.items() if each is not None}
    command = CommandLine(texts, **own)
    if command.check is not None and command != NO_FLAG._replace(check=command.check):
        _reject(made, "--check takes no other flag")
    if (command.approvals or command.reversible) and not command.sandbox:
        _reject(made, "--approval and --reversible are rules of the sandbox; give them with --sandbox")
    elsewhere = [flag(option.name) for option in CONNECTION if texts.get(option.name)]
    if command.sandbox and elsewhere:
        _reject(made, f"--sandbox sends nothing to Sepurux; leave out {' and '.join(elsewhere)}")
    return command


def _parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog=PROGRAM,
        usage=f"{PROGRAM} --campaign NAME [options]\n       {PROGRAM} --sandbox --trace-file FILES [options]\n"
        f"       {PROGRAM} --check [FILE ...]\n       {PROGRAM} demo | init [--help]",
        description="Evaluate an agent at Sepurux, and compare the result with thresholds.",
        epilog=EPILOG,
        formatter_class=_Formatter,
        allow_abbrev=False,
        exit_on_error=False,
    )
    add = made.add_argument
    for option in FLAGS:
        action, accepted = "store", f"Accepted: {option.accepts}."
        if option.form is list:
            action, accepted = "append", f"Accepted: {option.accepts}, or the flag several times."
        given = optional("Default: {}.", option.default_shown), optional("Environment: {}.", option.environment)
        text = on_command_line(joined("\n", option.help, accepted, *given)).translate(_IN_HELP)
        add(flag(option.name), dest=option.name, action=action, metavar=option.placeholder, help=text)
        for alias in option.aliases:
            add(flag(alias), dest=alias, help=argparse.SUPPRESS)
    add("--config", default="", metavar="FILE", help=_CONFIG_HELP)
    add("--format", dest="report_format", choices=("text", "json"), default="text", metavar="FORMAT", help=_FORMAT_HELP)
    add(WRITE_BASELINE, action="store_true", help=f"Add the result to {flag(options.BASELINE_DIR.name)}.")
    add("--check", nargs="*", metavar="FILE", help=_CHECK_HELP)
    add("--sandbox", action="store_true", help=_SANDBOX_HELP)
    rule = partial(add, action="append", default=[], metavar="NAME")
    rule("--approval", dest="approvals", help=_APPROVAL_HELP)
    rule("--reversible", help="With --sandbox: a tool that is never unsafe; repeatable.")
    add("--version", action="version", version=f"%(prog)s {__version__}", help="Show the version.")
    return made


class _Formatter(argparse.RawDescriptionHelpFormatter):
    def _split_lines(self, text: str, width: int) -> list[str]:
        return [line for part in text.splitlines() for line in textwrap.wrap(part, width, break_on_hyphens=False)]


def _reject(made: argparse.ArgumentParser, *problems: str) -> NoReturn:
    lines = (*(f"{PROGRAM}: {each}" for each in problems), f"Run `{PROGRAM} --help` to see all flags.", "")
    made.exit(2, "\n".join(lines))


# The parameters of a sentence that is read in a workflow, or on a command line.
_OF_WORKFLOW = {option.name: f"`{option.name}`" for option in OPTIONS}
_OF_COMMAND_LINE = _OF_WORKFLOW | {
    option.name: option.environment if option in options.SECRETS else flag(option.name) for option in FLAGS
}
_OF_WORKFLOW |= {"rerun": "re-run the job", "Rerun": "Re-run the job"}
_OF_WORKFLOW["place"] = "the workspace or the runner's temporary folder"
_OF_COMMAND_LINE |= {"rerun": "run the command again", "Rerun": "Run the command again"}
_OF_COMMAND_LINE["place"] = "the working directory"
_PARAMETER = re.compile(r"\{(\w+)\}")


def _with(words: Mapping[str, str], sentence: str) -> str:
    """Return a sentence with words in place of its parameters: names of inputs, or flags and variables for secrets."""
    return _PARAMETER.sub(lambda parameter: words.get(parameter[1], parameter[0]), sentence)


in_workflow = partial(_with, _OF_WORKFLOW)
on_command_line = partial(_with, _OF_COMMAND_LINE)
