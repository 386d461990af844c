"""Prepares a step: reads inputs, policy, and settings, and logs what they mean for the evaluation."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial

from sepurux_action.common import T
from sepurux_action.common.secret import Redactor
from sepurux_action.config.command_line import WRITE_BASELINE
from sepurux_action.config.layers import flag
from sepurux_action.config.policy import Policy
from sepurux_action.config.settings import BASE, Settings, read_inputs, read_settings, with_policy
from sepurux_action.errors import ConfigurationError, Interrupted, Problem
from sepurux_action.github.bounded_calls import BoundedCalls
from sepurux_action.github.event import pr_number_warning, with_pull_request_number
from sepurux_action.github.policy_source import FIRST_FILE, read_checkout, resolve_policy
from sepurux_action.github.session import GitHubSession
from sepurux_action.github.subject import Subject
from sepurux_action.host.deadlines import Signals, Timeouts
from sepurux_action.host.output import Level, Output
from sepurux_action.step import Connections, Invocation, Step

SHARED_STATUSES = (
    "`status_context` has no `{base}`, so a pull request with the same head commit into another branch sets the same "
    "status. The commit may pass there, because a drop or a stage depends on the branch. "
    'Write `status_context: "{prefix} ({base})"`, and require the new status on each branch.'
)
IGNORED_PATHS = (
    "The input `paths` is ignored, because a policy file applies. Set `paths` for its gates, under `gates:`."
)
OTHER_COMMIT = (
    "The uploaded traces may be those of another commit: on `issue_comment` and with `pr_number`, the gate evaluates "
    "the head that the pull request has now, {}, and not the commit that the job checked out. See docs/security.md of "
    "sepurux/gate-action, Traces of another commit."
)
NO_FOLDER = "it needs the folder for the result; accepted: with `--baseline-dir`"


def begin(invocation: Invocation, host: Output, signals: Signals, connections: Connections) -> Step:
    """Return what a step has before the policy is read. From here on, the host redacts the secrets."""
    inputs, event = read_inputs(invocation.layers), invocation.event
    redact = Redactor(secret.reveal() for secret in (inputs.github_token, inputs.token, inputs.api_key) if secret)
    host.mask_secrets(redact)
    client = None
    if inputs.github_token and event.repository and event.api_url:
        from sepurux_action.github.connection import connect  # noqa: PLC0415 - takes 0.2 s, so only when needed

        client = connect(event.api_url, inputs.github_token, event.repository, redact)
        event = with_pull_request_number(event, inputs.pull_request)
    calls = BoundedCalls(client, connections.timeouts(signals), host, event)
    signing_key = inputs.secret.reveal() if inputs.secret else ""
    subject = Subject(event=event, settings=inputs, signing_key=signing_key, started=connections.now())
    return Step(invocation, host, signals, connections, redact, GitHubSession(calls, subject), inputs)


def with_policy_file(step: Step) -> Step:
    """Return the step with the policy, and its folder for report files and its `comment`; raises ConfigurationError."""
    commit = step.github.subject.commit if step.github.calls.connected else None
    read_file = partial(read_checkout, step.invocation.traces())
    check = partial(_read_settings, step) if step.github.changes.of_policy(step.inputs.config) else None
    policy = _until_signal(step, partial(resolve_policy, step.inputs, step.event, commit, read_file, check))
    inputs = with_policy(step.inputs, step.invocation.layers, policy.policy) if policy.policy else step.inputs
    return replace(step, policy=policy, inputs=inputs, github=step.github.with_settings(inputs))


def with_settings(step: Step) -> Step:
    """Return the step with all settings; raises ConfigurationError with every problem."""
    settings = _until_signal(step, partial(_read_settings, step, step.policy.policy))
    if step.invocation.write_baseline and not settings.baseline_dir:
        raise ConfigurationError([Problem(where=WRITE_BASELINE, message=NO_FOLDER)], settings.comment_key)
    return step.with_settings(settings)


def _read_settings(step: Step, policy: Policy | None) -> Settings:
    """Return all settings with a policy; the limit on trace files is that of one reading."""
    layers, find = step.invocation.layers, step.invocation.traces().find
    return read_settings(layers, find, policy, branch=step.event.branch, today=step.today)


def with_lost_statuses(step: Step) -> Step:
    """Return the step with a warning about required statuses that no gate sets after the merge of the pull request."""
    policy, merged = step.policy, Settings()
    if not policy.replaces:
        return step
    read = partial(read_settings, step.invocation.layers, lambda _: (), policy.merged, branch=step.event.branch)
    with suppress(ConfigurationError):  # no gate sets a status if inputs lack what the file no longer has
        merged = _until_signal(step, read)
    now = step.inputs if FIRST_FILE in policy.notes else step.settings
    lost = step.github.advice.lost_statuses(now, merged)
    for note in lost:
        step.host.annotate(Level.WARNING, str(note), title="Sepurux gate")
    return replace(step, policy=replace(policy, notes=(*policy.notes, *lost)))


def _until_signal(step: Step, work: Callable[[], T]) -> T:
    """Return what reading settings returns, which may take seconds; raises ConfigurationError, also after a signal."""
    try:
        return Timeouts(step.signals).run(math.inf, work)
    except Interrupted:
        raise ConfigurationError([Problem("", "The run was canceled before all settings were read.")]) from None


def log_start(step: Step) -> None:
    """Log what is evaluated, and which settings have no effect."""
    event, inputs, host = step.event, step.inputs, step.host
    if not step.github.calls.connected and event.name:
        why = "`GITHUB_REPOSITORY` or `GITHUB_API_URL` is not set"
        if event.repository and not inputs.github_token:
            why = "there is no `github_token`"
        host.log(f"no comment and no status: {why}")
    if event.name and (warning := pr_number_warning(event, inputs.pull_request)):
        host.annotate(Level.WARNING, warning)
    gates = step.settings.gates
    if event.at_current_head and event.commit and any(gate.uploads_traces for gate in gates):
        host.annotate(Level.WARNING, OTHER_COMMIT.format(event.commit[:7]), title="Sepurux gate")
    _log_settings(step)
    line = "evaluating gate {} ({}) at {}"
    if len(gates) > 1:
        host.progress(f"evaluating {len(gates)} gates at {inputs.base_url}")
        line = "gate {}: {}"
    for gate in gates:
        what = str(gate.stage) if gate.name == gate.campaign else f"campaign {gate.campaign}, {gate.stage}"
        host.progress(line.format(gate.name, what, inputs.base_url))


def _log_settings(step: Step) -> None:
    settings, host, policy = step.settings, step.host, step.policy
    if policy.policy:
        host.log(f"policy file: {policy.policy.path} in {policy.place}")
    elif policy.place:
        host.progress(f"no policy file: {policy.place} has no {step.inputs.config}")
    if settings.overridden and step.event.name:
        host.log(f"the policy file overrides these inputs: {', '.join(settings.overridden)}")
    elif settings.overridden:
        host.log(f"these flags override the policy file: {', '.join(map(flag, settings.overridden))}")
    if step.github.calls.connected and settings.shares_statuses:
        text = SHARED_STATUSES.format(prefix=settings.status_context, base=BASE)
        host.annotate(Level.WARNING, text, title="Sepurux gate")
    if settings.uncompared:
        verb = "is" if len(settings.uncompared) == 1 else "are"
        host.log(f"{' and '.join(map(flag, settings.uncompared))} {verb} not compared without --baseline-dir")
    if settings.ignores_paths:
        host.annotate(Level.WARNING, IGNORED_PATHS, title="Sepurux gate")
