"""An evaluation on a command line by the embedded sandbox: it needs no account, and sends nothing to Sepurux."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

from sepurux_action.config import options
from sepurux_action.config.command_line import CONNECTION, CommandLine
from sepurux_action.config.options import Source, input_layer
from sepurux_action.config.settings import Gate
from sepurux_action.errors import ConfigurationError, Problem
from sepurux_action.flow.execution import Invocation, from_command_line
from sepurux_action.host.output import Output
from sepurux_action.report.report import DOCS
from sepurux_action.sandbox import APPROVALS, CORE_CAMPAIGN, Sandbox, Store

TOKEN = "token-of-the-embedded-sandbox"  # noqa: S105 - opens nothing else, and signs results that no workflow reads
RULES = (
    "the rules are those of the sandbox, which mutates nothing; --approval and --reversible change them: "
    f"{DOCS}other-ci.md#try-it-without-an-account"
)


@contextmanager
def with_sandbox(command: CommandLine, environ: Mapping[str, str], host: Output) -> Iterator[Invocation]:
    """Start a sandbox, and yield the invocation that uses it, without the addresses and secrets of the environment."""
    given = [name for option in CONNECTION if environ.get(name := option.environment)]
    if given:
        host.log(f"--sandbox does not use {' and '.join(given)}")
    host.log(RULES)
    store = Store(reversible=command.reversible, approvals=command.approvals or APPROVALS, has_pages=False)
    with Sandbox(store, token=TOKEN) as sandbox:
        texts = {**command.texts, options.BASE_URL.name: sandbox.url, options.TOKEN.name: TOKEN}
        left = {name: value for name, value in environ.items() if name not in given}
        made = from_command_line(command._replace(texts=texts), left)
        default = replace(input_layer({options.CAMPAIGN.name: CORE_CAMPAIGN}), source=Source.ENVIRONMENT)
        yield replace(made, layers=(*made.layers, default), accept=partial(_accept, store))


def _accept(store: Store, gates: Sequence[Gate]) -> None:
    """Let the sandbox know the campaigns of the gates; raises ConfigurationError for a gate without trace files."""
    if not all(trace.content for gate in gates for trace in gate.traces):
        message = "must come with --trace-file, because it has no registered scenarios and no stored traces"
        raise ConfigurationError([Problem("--sandbox", message)])
    store.campaigns = {gate.campaign: () for gate in gates}
