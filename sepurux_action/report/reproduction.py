"""The command line that repeats the evaluation of a gate; it names the variable of the secret, not the secret.

The flags are those of the table of options.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from urllib.parse import urlsplit

from sepurux_action.common import json_reader, number_format
from sepurux_action.config import options
from sepurux_action.config.command_line import PROGRAM
from sepurux_action.config.gate import Gate
from sepurux_action.config.options import Option
from sepurux_action.config.settings import flag

SECRET = f"export {options.API_KEY.environment}=...   # or {options.TOKEN.environment}"


def command_lines(gate: Gate, host: str) -> Iterator[str]:
    """Yield the lines for a shell; with a variable for the base URL if `host` is not the vendor's own."""
    yield SECRET
    if host and host != urlsplit(options.BASE_URL.default).hostname:
        yield f"export {options.BASE_URL.environment}=...   # the workflow's {options.BASE_URL.name}"
    arguments = [
        # a value that looks like a flag needs `=`
        f"{flag(option.name)}{'=' if value.startswith('-') else ' '}{shlex.quote(value)}"
        for option, value in _options(gate)
        if value
    ]
    yield " ".join([PROGRAM, *arguments])


def _options(gate: Gate) -> Iterator[tuple[Option[object], str]]:
    """Yield the options that matter to an evaluation with their texts, without invisible characters.

    A drop is left out: a command line has no base branch, so with one even a pass would be an error.
    """
    ids = [trace.trace_id for trace in gate.traces if trace.content is None]
    files = [trace.label for trace in gate.traces if trace.content is not None]
    yield options.CAMPAIGN, json_reader.printable(gate.campaign)
    yield options.PROJECT, json_reader.printable(gate.project)
    yield options.TRACE_ID, ",".join(filter(None, ids))
    yield options.TRACE_FILE, "\n".join(map(json_reader.printable, files))
    yield options.MUTATION_PACK, json_reader.printable(gate.mutation_pack)
    for option in options.LIMITS:
        if option.name in gate.limits and not option.needs_base:
            yield option, number_format.decimal(gate.limits[option.name])
    yield options.REQUIRED_MUTATION_CATEGORIES, json_reader.printable(",".join(gate.required_mutation_categories))
