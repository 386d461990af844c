"""One execution of the gate, by a step of a workflow or on a command line: what it is given, and its settings."""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from itertools import product
from pathlib import Path

from sepurux_action.common import json_reader
from sepurux_action.common.secret import Redactor
from sepurux_action.config import options
from sepurux_action.config.command_line import CONNECTION, WRITE_BASELINE, CommandLine
from sepurux_action.config.options import Layer, Source, Stage, environment_layer, flag_layer, input_layer
from sepurux_action.config.settings import POLICY_PATH, Gate, Settings, read_settings, unread_traces
from sepurux_action.errors import ConfigurationError, Interrupted, Problem
from sepurux_action.evaluation.api import Transport
from sepurux_action.evaluation.engine import Engine
from sepurux_action.evaluation.results import Results
from sepurux_action.evaluation.traces import WORKING_DIRECTORY, TraceFolder
from sepurux_action.github.client import Calls, connect
from sepurux_action.github.event import Event, parse_event
from sepurux_action.github.queries import Subject
from sepurux_action.github.subject import ResolvedPolicy, changes_policy, is_skipped, resolve_policy
from sepurux_action.host.deadlines import Signals, Timeouts
from sepurux_action.host.output import Output
from sepurux_action.report.report import DOCS

WORKFLOW = re.compile(r"[^/]+/[^/]+/(\.github/workflows/[A-Za-z0-9._ -]+\.ya?ml)@")  # in GITHUB_WORKFLOW_REF
SANDBOX_TOKEN = "token-of-the-embedded-sandbox"  # noqa: S105 - opens nothing else, and signs results that no workflow reads
SANDBOX_RULES = (
    "the rules are those of the sandbox, which mutates nothing; --approval and --reversible change them: "
    f"{DOCS}other-ci.md#try-it-without-an-account"
)


@dataclass(frozen=True, slots=True)
class Invocation:
    """What a step, or a command line, is given. The first layer overrides the others. `traces` makes a new folder."""

    layers: tuple[Layer, ...]
    event: Event
    traces: Callable[[], TraceFolder]
    write_baseline: bool = False
    config: str = ""
    accept: Callable[[Sequence[Gate]], None] = lambda _: None  # of all gates; raises ConfigurationError


def from_step(inputs: Mapping[str, str], environ: Mapping[str, str], payload: object) -> Invocation:
    """Return the invocation by a step. No environment variable is a setting, because an earlier step can set it."""
    workspace, temporary = (environ.get(name, "") for name in ("GITHUB_WORKSPACE", "RUNNER_TEMP"))
    others = [Path(temporary)] if temporary else []
    workflow = WORKFLOW.match(environ.get("GITHUB_WORKFLOW_REF", ""))  # of a reusable one, its caller
    return Invocation(
        layers=(replace(input_layer(inputs), file=workflow[1] if workflow else ""),),
        event=parse_event(environ.get("GITHUB_EVENT_NAME", ""), payload, environ),
        traces=partial(TraceFolder, Path(workspace or Path.cwd()), others),
    )


@contextmanager
def from_flags(command: CommandLine, environ: Mapping[str, str], host: Output) -> Iterator[Invocation]:
    """Yield the invocation by a command line, for the time of which `--sandbox` starts a sandbox."""
    if not command.sandbox:
        yield _from_flags(command, environ)
        return
    from sepurux_action.sandbox import APPROVALS, CORE_CAMPAIGN, Sandbox, Store  # noqa: PLC0415 - no other run needs it

    def accept(gates: Sequence[Gate]) -> None:
        """Let the sandbox know the campaigns; raises ConfigurationError for a gate without trace files."""
        if not all(trace.content for gate in gates for trace in gate.traces):
            message = "must come with --trace-file, because it has no registered scenarios and no stored traces"
            raise ConfigurationError([Problem("--sandbox", message)])
        store.campaigns = {gate.campaign: () for gate in gates}

    given = [name for option in CONNECTION if environ.get(name := option.environment)]
    if given:
        host.log(f"--sandbox does not use {' and '.join(given)}")
    host.log(SANDBOX_RULES)
    store = Store(reversible=command.reversible, approvals=command.approvals or APPROVALS, has_pages=False)
    with Sandbox(store, token=SANDBOX_TOKEN) as sandbox:
        texts = {**command.texts, options.BASE_URL.name: sandbox.url, options.TOKEN.name: SANDBOX_TOKEN}
        left = {name: value for name, value in environ.items() if name not in given}
        made = _from_flags(command._replace(texts=texts), left)
        default = replace(input_layer({options.CAMPAIGN.name: CORE_CAMPAIGN}), source=Source.ENVIRONMENT)
        yield replace(made, layers=(*made.layers, default), accept=accept)


def _from_flags(command: CommandLine, environ: Mapping[str, str]) -> Invocation:
    """Return the invocation by these flags. GITHUB_REPO and PR_NUMBER are the vendor's names."""
    number = environ.get("PR_NUMBER", "").strip()
    valid = re.fullmatch(r"[1-9][0-9]{0,9}", number)
    wrong = f"`PR_NUMBER`: must be the number of a pull request, not {json_reader.preview(number)}"
    return Invocation(
        layers=(flag_layer(command.texts), environment_layer(environ)),
        event=Event(
            repository=environ.get("GITHUB_REPO", "").strip(),
            pull_request=int(number) if valid else None,
            problem="" if valid or not number else wrong,
        ),
        traces=partial(TraceFolder, Path.cwd(), name=WORKING_DIRECTORY),
        write_baseline=command.write_baseline,
        config=command.config,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Connections:
    """What makes the parts that tests replace, besides PyGithub, which has a place of its own; `now` is in UTC."""

    transport: Callable[..., Transport] = Transport
    engine: Callable[..., Engine] = Engine
    timeouts: Callable[[Signals], Timeouts] = Timeouts
    now: Callable[[], datetime] = lambda: datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Execution:
    """One execution of the gate, which has `started` at a time of UTC.

    `settings` are at first without a policy. `earlier` are the base's results by scenario, None without a usable file.
    """

    invocation: Invocation
    host: Output
    signals: Signals
    connections: Connections
    calls: Calls
    subject: Subject
    started: datetime
    settings: Settings
    policy: ResolvedPolicy = field(default_factory=ResolvedPolicy)
    earlier: Results | None = None
    earlier_note: str = ""

    @property
    def event(self) -> Event:
        return self.subject.event

    @property
    def signing_key(self) -> str:
        """Return what signs the base's results by scenario; '' without a secret."""
        secret = self.settings.token or self.settings.api_key
        return secret.reveal() if secret else ""

    def folder(self, path: str) -> Path | None:
        """Return the folder for files without links, or None if it leads outside."""
        allowed = self.invocation.traces()
        return allowed.resolved(allowed.base / path)


def begin(invocation: Invocation, host: Output, signals: Signals, connections: Connections) -> Execution:
    """Return an execution before anything of GitHub is read. From here on, the host redacts the secrets."""
    settings, event = read_settings(invocation.layers), invocation.event
    redact = Redactor(secret.reveal() for secret in (settings.github_token, settings.token, settings.api_key) if secret)
    host.mask_secrets(redact)
    client = None
    if settings.github_token and event.repository and event.api_url:
        client = connect(event.api_url, settings.github_token, event.repository, redact)
    calls = Calls(client, connections.timeouts(signals), host)
    started = connections.now()
    return Execution(invocation, host, signals, connections, calls, Subject(event=event), started, settings)


def with_settings(execution: Execution) -> Execution:
    """Return the execution with the policy and all settings; raises ConfigurationError with every problem."""
    calls, subject, event = execution.calls, execution.subject, execution.event
    if event.skip_reason:
        name = execution.settings.gates[0].name or "Sepurux gate"
        return replace(execution, settings=replace(execution.settings, gates=(Gate(name=name, campaign=name),)))
    folder = None if calls.connected else execution.invocation.traces()
    check = partial(_read_settings, execution) if changes_policy(calls, subject) else None
    find = partial(resolve_policy, execution.settings, subject, folder, check, execution.invocation.config)
    timeouts = Timeouts(execution.signals)
    try:  # each may take seconds
        policy = timeouts.run(math.inf, find)
        settings = timeouts.run(math.inf, partial(_read_settings, execution, policy.policy))
    except ConfigurationError as bad:
        raise ConfigurationError(dict.fromkeys((*bad.problems, *execution.settings.problems))) from None
    except Interrupted:
        raise ConfigurationError([Problem("", "The run was canceled before all settings were read.")]) from None
    if problems := [*settings.problems, *_folder_problems(execution)]:
        raise ConfigurationError(problems)
    execution.invocation.accept(settings.gates)
    gates = list[Gate]()
    for gate in settings.gates:
        days = {name: day for name, day in gate.flaky if day >= execution.started.date()}
        traces = tuple(replace(trace, flaky=days.get(trace.scenario[1])) for trace in gate.traces)
        gates.append(replace(gate, traces=traces))
    if not (calls.connected and event.pull_request is not None):
        if any(gate.stage is Stage.SOFT for gate in gates):
            execution.host.log("Without a pull request that can be read, a soft gate acts as a hard gate.")
        gates = [replace(gate, stage=Stage.HARD) if gate.stage is Stage.SOFT else gate for gate in gates]
    return replace(execution, settings=replace(settings, gates=tuple(gates)), policy=policy)


def _read_settings(execution: Execution, policy: Layer | None) -> Settings:
    """Return all settings with a policy; the limit on trace files is that of one reading. A review needs none."""
    subject, layers = execution.subject, execution.invocation.layers
    find = unread_traces if subject.event.by_review else execution.invocation.traces().find
    return read_settings(layers, find, policy, subject.suffix, partial(is_skipped, execution.calls, subject))


def _folder_problems(execution: Execution) -> Iterator[Problem]:
    invocation = execution.invocation
    layers, where = invocation.layers, invocation.traces().where
    for option, layer in product((options.REPORT_DIR, options.BASELINE_DIR), layers):
        if execution.folder(path := layer.text(option)) is None:
            yield layer.problem(option, f"must be a folder in {where}, not {json_reader.preview(path)}")
    folder, is_written = layers[0].text(options.BASELINE_DIR), invocation.write_baseline
    if is_written and not folder:
        yield Problem(WRITE_BASELINE, "must come with `--baseline-dir`, the folder for the result")
    read = folder and not (execution.event.name or is_written) and execution.folder(folder)
    if read and not read.is_dir():
        message = f"must be a folder that exists, not {json_reader.preview(folder)}; {WRITE_BASELINE} creates it"
        yield layers[0].problem(options.BASELINE_DIR, message)


def log_start(execution: Execution) -> None:
    event, settings, host, policy = execution.event, execution.settings, execution.host, execution.policy
    if not execution.calls.connected and event.name:
        host.log("no comment and no status: `github_token`, `GITHUB_REPOSITORY`, or `GITHUB_API_URL` is not set")
    if event.by_review:
        host.progress("a review evaluates nothing: the statuses of the commit decide")
        return
    if policy.policy:
        host.log(f"policy file: {policy.policy.file} in {policy.place}")
    elif policy.place:
        host.progress(f"no policy file: {policy.place} has no {POLICY_PATH}")
    if settings.overridden:
        what = "the policy file overrides" if event.name else "flags override"
        host.log(f"{what}: {', '.join(settings.overridden)}")
    gates = ", ".join(f"{gate.name} ({gate.stage})" for gate in settings.gates)
    host.progress(f"evaluating gate {gates} at {settings.base_url}")
