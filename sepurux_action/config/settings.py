"""Turns inputs, environment variables, and the policy into Settings, or reports every problem in them at once.

In a workflow, the policy overrides inputs, and environment variables do not count. On a command line, flags override
the policy, and the policy overrides environment variables. Defaults come last.
Source: https://github.com/sepurux/gate-action/blob/main/docs/configuration.md#where-a-value-comes-from
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from sepurux_action.common import T, json_reader
from sepurux_action.common.secret import Redactor, Secret, may_be_secret
from sepurux_action.config import kinds, options
from sepurux_action.config.gate import ALL_SCENARIOS, Gate, Trace
from sepurux_action.config.layers import Given, Layer, Source
from sepurux_action.config.options import BY_NAME, OPTIONS, SEVERAL_GATES_KEY, CommentMode, Option, SectionKind
from sepurux_action.config.policy import Policy
from sepurux_action.config.stage import stage_today
from sepurux_action.errors import ConfigurationError, Problem, TraceFileError

MAX_CONTEXT_LENGTH = 255  # characters of a status context; GitHub's limit
ONE_GATE = "leave this flag out, or give --config a policy file without `gates`"
BASE = "{base}"  # in `status_context`, it stands for the base branch
_BELOW = {Source.FLAGS: Source.POLICY, Source.POLICY: Source.INPUTS}  # what a source is said to override
_OF_STEP = [each for each in OPTIONS if not {SectionKind.GATE, SectionKind.THRESHOLDS} & {*each.allowed_in}]

TraceFinder = Callable[[str], tuple[Trace, ...]]  # the traces that a path or glob matches; raises TraceFileError


@dataclass(frozen=True, slots=True, kw_only=True)
class Publishing:
    """How results are published."""

    comment: CommentMode = options.COMMENT.default_value
    comment_key: str = SEVERAL_GATES_KEY
    status: bool = options.STATUS.default_value
    status_context: str = options.STATUS_CONTEXT.default
    report_dir: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the gates, () if they are unknown."""
        return ()

    def context_of(self, gate: str, base: str) -> str:
        return f"{self.status_context.replace(BASE, base)} / {gate}"

    def contexts(self, base: str) -> tuple[str, ...]:
        return tuple(self.context_of(name, base) for name in self.names if self.status)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs(Publishing):
    """What inputs, or flags and environment, say about options that no policy file can set. Absent secrets are None.

    Problems in the settings are published in this way. `names` has the gate that the layers name. `problems` are all in
    the layers, and `missing_secret` names the setting that would hold the secret for the backend.
    """

    names: tuple[str, ...] = ()
    base_url: str = options.BASE_URL.default
    token: Secret | None = field(default=None, repr=False)
    api_key: Secret | None = field(default=None, repr=False)
    github_token: Secret | None = field(default=None, repr=False)
    pull_request: int | None = None
    config: str = options.CONFIG.default
    config_is_given: bool = False
    problems: tuple[Problem, ...] = ()
    missing_secret: str = ""

    @property
    def secret(self) -> Secret | None:
        """Return the secret for the backend, which also signs the state in the comment."""
        return self.token or self.api_key


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(Publishing):
    """The settings of a run that a policy file can set.

    `overridden` are the options of which the policy overrides an input, or a flag the policy; `ignored` are inputs
    without effect, and `uncompared` the limits of drops on a command line without `baseline_dir`.
    """

    gates: tuple[Gate, ...] = ()
    baseline_dir: str = ""
    overridden: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    uncompared: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(gate.name for gate in self.gates)

    @property
    def shares_statuses(self) -> bool:
        """Return whether base branches share a status although a commit may pass on one and fail on another."""
        differs = any(options.DROPS & set(gate.limits) or any(r.branches for r in gate.rules) for gate in self.gates)
        return differs and self.status and BASE not in self.status_context


def read_inputs(layers: Iterable[Layer]) -> Inputs:
    """Return what is known before the policy is read, with every problem in the layers."""
    layers = tuple(layers)
    reader = OptionReader(layers)
    for option in OPTIONS:
        reader.value(option)
    has_secret = any(option.name in layer.given for layer in layers for option in (options.TOKEN, options.API_KEY))
    config, name = reader.value(options.CONFIG), reader.value(options.NAME) or reader.value(options.CAMPAIGN)
    names = (name,) if name else ()
    return Inputs(
        **_publishing(reader, names),
        names=names,
        base_url=reader.value_or_default(options.BASE_URL),
        token=reader.value(options.TOKEN),
        api_key=reader.value(options.API_KEY),
        github_token=reader.value(options.GITHUB_TOKEN),
        pull_request=reader.value(options.PR_NUMBER),
        config=config or options.CONFIG.default,
        config_is_given=config is not None,
        problems=_in_order([reader]),
        missing_secret="" if has_secret else layers[0].source.label(options.TOKEN.name),
    )


def with_policy(inputs: Inputs, layers: Iterable[Layer], policy: Policy) -> Inputs:
    """Return the inputs with what the policy says about the comment and the folder of the report."""
    reader = OptionReader((*layers, policy.top))
    folder = reader.value(options.REPORT_DIR) or ""
    return replace(inputs, comment=reader.value_or_default(options.COMMENT), report_dir=folder)


def read_settings(
    layers: Iterable[Layer],
    find_traces: TraceFinder,
    policy: Policy | None = None,
    *,
    branch: str = "",
    today: date = date.min,
) -> Settings:
    """Return the settings. The first layer with a value for an option applies, after the policy, except for flags.

    `branch` and `today` (UTC) choose the enforcement rule. On a command line without `baseline_dir`, limits of drops
    have no effect. Raises ConfigurationError with every problem.
    """
    layers, ignored = tuple(layers), tuple[str, ...]()
    if policy:  # a pull request could skip a gate of the policy with the input `paths`
        ignored = tuple(each.source.label(options.PATHS.name) for each in layers if options.PATHS.name in each.given)
        layers = tuple(layer.only(BY_NAME.keys() - {options.PATHS.name}) for layer in layers)
    top = [policy.top] if policy else []
    step = OptionReader((*layers, *top))
    of_gates = [OptionReader((*layers, section, *top)) for section in policy.gates] if policy else []
    of_gates = of_gates or [OptionReader((*layers, *top))]
    for option in _OF_STEP:
        step.value(option)
    baseline_dir = step.value(options.BASELINE_DIR) or ""
    ignores_drops = not baseline_dir and any(layer.source is Source.FLAGS for layer in layers)
    drops = {name for reader in of_gates for name in options.DROPS if reader.given(BY_NAME[name])}
    unread = drops if ignores_drops else set[str]()
    gates = tuple(_read_gate(reader, find_traces, unread, branch, today) for reader in of_gates)
    step.check_duplicate_names(gates)
    settings = Settings(
        **_publishing(step, [gate.name for gate in gates]),
        gates=gates,
        baseline_dir=baseline_dir,
        overridden=tuple(sorted({name for each in (step, *of_gates) for name in each.overridden})),
        ignored=ignored,
        uncompared=tuple(sorted(unread)),
    )
    if (longest := max(len(settings.context_of(gate.name, branch)) for gate in gates)) > MAX_CONTEXT_LENGTH:
        named = f"with the branch {json_reader.preview(branch)} for `{BASE}`, a status context has {longest} characters"
        step.add_problem(options.STATUS_CONTEXT, f"{named}; accepted: at most {MAX_CONTEXT_LENGTH}")
    if problems := _in_order((step, *of_gates)):
        of_key = (options.COMMENT_KEY, options.NAME, options.CAMPAIGN)
        hidden = any(reader.has_problem(option) for reader in (step, *of_gates) for option in of_key)
        raise ConfigurationError(problems, "" if hidden else settings.comment_key)
    return settings


def _publishing(reader: OptionReader, gates: Sequence[str]) -> dict[str, Any]:
    """Return the fields of Publishing, for gates with these names."""
    config = reader.value(options.CONFIG)
    several = f"{SEVERAL_GATES_KEY}:{config}" if config else SEVERAL_GATES_KEY  # each step has a file of its own
    return {
        "comment": reader.value_or_default(options.COMMENT),
        "comment_key": reader.value(options.COMMENT_KEY) or (gates[0] if len(gates) == 1 else several),
        "status": reader.value_or_default(options.STATUS),
        "status_context": reader.value_or_default(options.STATUS_CONTEXT),
        "report_dir": reader.value(options.REPORT_DIR) or "",
    }


def _in_order(readers: Iterable[OptionReader]) -> tuple[Problem, ...]:
    """Return every problem once, in the order of the option table, unknown names last."""
    problems = [each for reader in readers for each in reader.problems]
    problems.sort(key=lambda each: OPTIONS.index(each[0]) if each[0] else len(OPTIONS))
    return tuple(dict.fromkeys(problem for _, problem in problems))


def _read_gate(reader: OptionReader, find: TraceFinder, unread: Iterable[str], branch: str, today: date) -> Gate:
    campaign = reader.value(options.CAMPAIGN)
    if campaign is None and not reader.has_problem(options.CAMPAIGN):
        reader.add_problem(options.CAMPAIGN, f"it is required, but not set; accepted: {options.CAMPAIGN.kind.accepts}")
    stage, rules, given = reader.value_or_default(options.ENFORCEMENT), (), reader.given(options.ENFORCEMENT)
    if given and given.source is Source.POLICY:
        rules = given.value
        stage = stage_today(rules, branch, today)
    return Gate(
        name=reader.value(options.NAME) or (campaign or "")[: kinds.MAX_NAME_LENGTH],
        campaign=campaign or "",
        project=reader.value(options.PROJECT) or "",
        traces=tuple(_traces(reader, find)) or ALL_SCENARIOS,
        mutation_pack=reader.value(options.MUTATION_PACK) or "",
        limits={name: limit for name, limit in reader.limits().items() if name not in unread},
        required_mutation_categories=reader.value(options.REQUIRED_MUTATION_CATEGORIES) or (),
        stage=stage,
        on_undecided=reader.value_or_default(options.ON_UNDECIDED),
        confirm=reader.value_or_default(options.CONFIRM),
        timeout_s=reader.value_or_default(options.TIMEOUT),
        reviewers=reader.value(options.REVIEWERS) or (),
        paths=reader.value(options.PATHS),
        rules=rules,
        remedies=reader.remedies(),
    )


def _traces(reader: OptionReader, find: TraceFinder) -> Iterator[Trace]:
    ids = reader.value(options.TRACE_ID) or ()
    yield from (Trace(label=trace_id, trace_id=trace_id) for trace_id in ids)
    files = dict[Trace, None]()  # a dict, because globs overlap
    for pattern in reader.value(options.TRACE_FILE) or ():
        try:
            files.update(dict.fromkeys(find(pattern)))
        except TraceFileError as error:
            reader.add_problem(options.TRACE_FILE, str(error))
    if len(ids) + len(files) > kinds.MAX_TRACES:
        given = f"{len(files)} files" + (f" beside {len(ids)} trace ids" if ids else "")
        message = f"it names {given}; accepted: at most {kinds.MAX_TRACES} traces for one gate"
        reader.add_problem(options.TRACE_FILE, message)
    yield from files


class OptionReader:
    """Reads options from layers, and collects every problem in them."""

    def __init__(self, layers: Iterable[Layer]) -> None:
        self._layers = sorted(layers, key=lambda layer: layer.source)
        secrets = [layer.text(option) for layer in self._layers for option in OPTIONS if option.secret]
        # a report may split a secret with white space
        self._redact = Redactor(part for text in secrets for part in (text, *text.split()))
        self.problems: list[tuple[Option[object] | None, Problem]] = []  # None for an unknown name
        self.overridden: set[str] = set()
        for layer in self._layers:
            for spelling in map(json_reader.printable, layer.unknown):
                message = f"it is not known{kinds.did_you_mean(spelling, BY_NAME)}"
                self._add(None, Problem(layer.source.label(spelling), message))

    def given(self, option: Option[object]) -> Given | None:
        return next((layer.given[option.name] for layer in self._layers if option.name in layer.given), None)

    def value(self, option: Option[T]) -> T | None:
        """Return the option's value from the first layer that has one; None if there is none or it is not accepted."""
        given = self.given(option)
        if given is None:
            return None
        below = (layer.text(option) for layer in self._layers if layer.source is _BELOW.get(given.source))
        if next(filter(None, below), given.text) != given.text:
            self.overridden.add(option.name)
        if message := self._problem(option, given):
            where = given.source.label(given.spelling)
            self._add(option, Problem(where, message, given.file, given.line))
            return None
        value: T = given.value
        return value

    def value_or_default(self, option: Option[T]) -> T:
        value = self.value(option)
        return option.default_value if value is None else value

    def limits(self) -> Mapping[str, float]:
        given = {option.name: self.value(option) for option in options.LIMITS}
        for name, default in options.DEFAULT_LIMITS.items():
            replaced = name == options.MIN_PASS_RATE.name and given[options.MIN_RELIABILITY_SCORE.name] is not None
            if given[name] is None and not replaced:
                given[name] = default
        return {name: limit for name, limit in given.items() if limit is not None}

    def remedies(self) -> Mapping[str, str]:
        shared = ((option.name, self.given(option)) for option in OPTIONS if not option.actions_only)
        return {name: given.remedy for name, given in shared if given}

    def check_duplicate_names(self, gates: Iterable[Gate]) -> None:
        counts = Counter(gate.name.casefold() for gate in gates if gate.name)
        sources = ((each, self.given(each)) for each in (options.NAME, options.CAMPAIGN))
        by_flag = next((option for option, given in sources if given and given.source is Source.FLAGS), None)
        for name, times in counts.items():
            if times > 1:
                remedy = ONE_GATE if by_flag else "give each its own `name`"
                shown = json_reader.preview(self._redact(name))
                self.add_problem(by_flag or options.NAME, f"{times} gates are named {shown}; {remedy}")

    def add_problem(self, option: Option[object], message: str) -> None:
        """Add a problem in an option to the layer that gives it, else to that of the policy file, or the first one."""
        if given := self.given(option):
            problem = Problem(given.source.label(option.name), message, given.file, given.line)
        else:
            of_file = (layer for layer in self._layers if layer.file and option.allowed_in)
            others = (layer for layer in self._layers if layer.source is not Source.POLICY)
            layer = next(of_file, None) or next(others)
            problem = Problem(layer.source.label(option.name), message, layer.file, layer.line)
        self._add(option, problem)

    def has_problem(self, option: Option[object]) -> bool:
        return any(each is option for each, _ in self.problems)

    def _add(self, option: Option[object] | None, problem: Problem) -> None:
        self.problems.append((option, problem.redacted(self._redact)))  # any may quote a secret

    def _problem(self, option: Option[object], given: Given) -> str:
        """Return what is wrong with a value, and what is accepted; '' for one that is accepted."""
        if len(set(given.texts.values())) > 1:
            listed = " and ".join(f"`{name}` ({self._shown(option, text)})" for name, text in given.texts.items())
            return f"{listed} are the same setting, but differ; set one of them"
        if given.hint is not None:
            is_safe = option.secret or self._redact(given.text) == given.text  # it may quote what redaction misses
            hint = f" ({given.hint})" if given.hint and is_safe else ""
            return f"{self._shown(option, given.text)} is not accepted{hint}; accepted: {option.kind.accepts}"
        if option.secret or option is options.BASE_URL:  # no report shows these
            return ""
        values = map(str, given.value if isinstance(given.value, tuple) else (given.value,))
        if any(self._redact(each) != each for each in values):  # a report could show a form that redaction misses
            return "its value contains a secret, which reports would show; remove it"
        return ""

    def _shown(self, option: Option[object], text: str) -> str:
        """Return a value as an error message shows it, without secrets and URLs that may contain one."""
        hidden = option.secret or (option is options.BASE_URL and any(mark in text for mark in "@?#"))
        if hidden or may_be_secret(text):
            return "the value"
        return json_reader.preview(self._redact(json_reader.printable(text)))
