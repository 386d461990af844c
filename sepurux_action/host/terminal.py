"""Owns the talk with any other CI system or a person: flags, a plain log on stderr, the report on stdout.

Never writes a workflow command.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress

from sepurux_action import __version__
from sepurux_action.common.secret import Redactor
from sepurux_action.config.options import OPTIONS, Option
from sepurux_action.config.settings import Layer, environment_layer, flag, flag_layer
from sepurux_action.evaluation.trace_files import TraceFolder, working_directory
from sepurux_action.github.run_context import RunContext
from sepurux_action.host import workflow_commands as commands
from sepurux_action.host.workflow_commands import Level

EXIT_HELP = "Exit status: 0 the gate is open, 1 a fail closes it, 2 it is closed for any other reason."


class Terminal:
    """A command line outside GitHub."""

    def __init__(self, arguments: Sequence[str], environ: Mapping[str, str]) -> None:
        """Read the flags; exits with 0 for --help and --version, with 2 for flags that are not known."""
        self._environ = environ
        self._blank = Redactor()
        made = parser()
        known, unknown = made.parse_known_args(arguments)
        if unknown:  # named without their values, which may be secrets
            flags = [each.partition("=")[0] for each in unknown if each.startswith("-")]
            made.error(f"not known: {', '.join(flags) or 'an argument that belongs to no flag'}")
        given = vars(known)
        self._flags = {name: value for name, value in given.items() if value is not None}

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Return where settings come from: the flags, then the environment."""
        elsewhere = {option.environment for option in OPTIONS if option.actions_only}
        environ = {name: text for name, text in self._environ.items() if name not in elsewhere}
        return flag_layer(self._flags), environment_layer(environ)

    @property
    def traces(self) -> TraceFolder:
        """Return the folder that trace files may lie in: the one we are in."""
        return TraceFolder(working_directory())

    def read_repo_file(self, path: str) -> bytes | None:
        """Return a file below the folder that we are in, or None where there is none."""
        return self.traces.read(path)

    def run_context(self) -> RunContext:
        """Return the repository that GITHUB_REPO names, as for the vendor's own command line."""
        return RunContext(repository=self._environ.get("GITHUB_REPO", "").strip())

    def mask_secrets(self, blank: Redactor, secrets: tuple[str, ...]) -> None:  # noqa: ARG002 - there is no runner to tell
        """Blank secrets in everything that is written from now on."""
        self._blank = blank

    def log(self, text: str) -> None:
        """Write one line to stderr."""
        with suppress(OSError):  # a log that nobody takes changes no verdict
            sys.stderr.write(self._blank(commands.plain(self._blank(text))) + "\n")
            sys.stderr.flush()

    def annotate(self, level: Level, text: str, *, title: str = "", file: str = "", line: int = 0) -> None:
        """Write a line that begins with its level; a terminal has no place for a title beside it."""
        del title
        place = f"{file}:{line}: " if file else ""
        for each in text.splitlines():
            self.log(f"{level}: {place}{each}")

    def set_outputs(self, values: Mapping[str, str]) -> None:
        """Do nothing: a command line has an exit status and a report."""

    def write_summary(self, markdown: str) -> None:
        """Write the report to stdout; one that cannot be written is a warning and changes no exit status."""
        encoding = sys.stdout.encoding or "utf-8"  # a terminal's may lack some of our characters
        try:
            sys.stdout.write(self._blank(markdown).encode(encoding, "replace").decode(encoding))
            sys.stdout.flush()
        except OSError as error:
            self.annotate(Level.WARNING, f"The report could not be written: {error.strerror}.")


FLAGS = tuple(option for option in OPTIONS if not option.actions_only)


def parser() -> argparse.ArgumentParser:
    """Return the command line, made from the table of options."""
    made = argparse.ArgumentParser(
        prog="python -m sepurux_action",
        description="Gate a change on a Sepurux reliability evaluation.",
        epilog=EXIT_HELP,
        allow_abbrev=False,
    )
    made.add_argument("--version", action="version", version=__version__)
    for option in FLAGS:
        for spelling in option.names:
            shown = _described(option) if spelling == option.name else f"The same as {flag(option.name)}."
            made.add_argument(flag(spelling), dest=spelling, metavar="TEXT", help=shown.replace("%", "%%"))
    return made


def _described(option: Option[object]) -> str:
    parts = [option.help, f"Accepted: {option.accepts}."]
    if option.environment:
        parts.append(f"Environment: {option.environment}.")
    if option.default_shown:
        parts.append(f"Default: {option.default_shown}.")
    return " ".join(parts).replace("`", "")
