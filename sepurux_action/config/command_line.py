"""The flags of `python -m sepurux_action`, made from the table of options."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from sepurux_action import __version__
from sepurux_action.config.options import OPTIONS, Option
from sepurux_action.config.settings import flag

EXIT_HELP = "Exit status: 0 nothing blocks, 1 a fail blocks, 2 a gate without a result blocks."
FLAGS = tuple(option for option in OPTIONS if not option.actions_only)


def parse_flags(arguments: Sequence[str]) -> dict[str, str]:
    """Return the value of each given flag by its name, such as `min_pass_rate`.

    Exits with status 0 for --help and --version, and with status 2 for unknown flags.
    """
    made = parser()
    known, unknown = made.parse_known_args(arguments)
    if unknown:  # the message leaves out their values, which may be secrets
        flags = [each.partition("=")[0] for each in unknown if each.startswith("-")]
        made.error(f"not known: {', '.join(flags) or 'an argument that belongs to no flag'}")
    return {name: value for name, value in vars(known).items() if value is not None}


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(
        prog="python -m sepurux_action",
        description="Gate a change on a Sepurux reliability evaluation.",
        epilog=EXIT_HELP,
        allow_abbrev=False,
    )
    made.add_argument("--version", action="version", version=__version__)
    for option in FLAGS:
        for name in option.names:
            shown = _help(option) if name == option.name else f"The same as {flag(option.name)}."
            made.add_argument(flag(name), dest=name, metavar="TEXT", help=shown.replace("%", "%%"))
    return made


def _help(option: Option[object]) -> str:
    parts = [option.help, f"Accepted: {option.accepts}."]
    if option.environment:
        parts.append(f"Environment: {option.environment}.")
    if option.default_shown:
        parts.append(f"Default: {option.default_shown}.")
    return " ".join(parts).replace("`", "")
