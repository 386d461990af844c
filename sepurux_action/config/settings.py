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
from enum import IntEnum
from itertools import chain

from sepurux_action.common import T, json_reader
from sepurux_action.common.secret import Redactor, Secret, may_be_secret
from sepurux_action.config import kinds, options
from sepurux_action.config.gate import Gate, Trace
from sepurux_action.config.options import BY_NAME, OPTIONS, SEVERAL_GATES_KEY, CommentMode, Option
from sepurux_action.config.policy import Policy, PolicySection
from sepurux_action.config.stage import stage_today
from sepurux_action.errors import ConfigurationError, Problem, TraceFileError

MAX_CONTEXT_LENGTH = 255  # characters of a status context; GitHub's limit
ONE_GATE = "leave this flag out, or give --config a policy file without `gates`"
BASE = "{base}"  # in `status_context`, it stands for the base branch

TraceFinder = Callable[[str], tuple[Trace, ...]]  # the traces that a path or glob matches; raises TraceFileError


class Source(IntEnum):
    """What gives values to options, in the order in which it applies."""

    FLAGS = 1
    POLICY = 2
    INPUTS = 3
    ENVIRONMENT = 4


@dataclass(frozen=True, slots=True)
class Layer:
    """The texts that one source gives to options, by any of their names, and what error messages call such a name.

    The layer of a policy file has its path, the line on which the layer begins, and those of its texts.
    """

    source: Source
    texts: Mapping[str, str]
    label: Callable[[str], str]
    file: str = ""
    line: int = 0
    lines: Mapping[str, int] = field(default_factory=dict)

    def given(self, option: Option[object]) -> dict[str, str]:
        texts = {spelling: self.texts.get(spelling, "").strip() for spelling in option.names}
        return {spelling: text for spelling, text in texts.items() if text}

    def remedy(self, option: Option[object]) -> str:
        """Return where to change the value that this source gives, for a hint."""
        [spelling, *_] = self.given(option)
        if self.source is Source.POLICY:
            return f"`{spelling}` in `{self.file}:{self.lines[spelling]}`"
        if self.source is Source.ENVIRONMENT:
            return f"`{option.environment}`"
        return flag(spelling) if self.source is Source.FLAGS else f"`{spelling}`"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings of a run. Absent or empty secrets are None.

    Until the policy has been read, `gates` has at most the gate of inputs and environment, `problems` are those in
    them, and `missing_secret` names the setting that would hold the secret for the backend. `overridden` are the
    options of which the policy overrides an input, or a flag the policy; `ignored` are inputs without effect,
    and `uncompared` the limits of drops on a command line without `baseline_dir`.
    """

    gates: tuple[Gate, ...] = ()
    base_url: str = options.BASE_URL.default
    token: Secret | None = field(default=None, repr=False)
    api_key: Secret | None = field(default=None, repr=False)
    github_token: Secret | None = field(default=None, repr=False)
    comment: CommentMode = options.COMMENT.default_value
    comment_key: str = SEVERAL_GATES_KEY
    status: bool = options.STATUS.default_value
    status_context: str = options.STATUS_CONTEXT.default
    pull_request: int | None = None
    baseline_dir: str = ""
    report_dir: str = ""
    config: str = options.CONFIG.default
    config_is_given: bool = False
    problems: tuple[Problem, ...] = ()
    missing_secret: str = ""
    overridden: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    uncompared: tuple[str, ...] = ()

    @property
    def secret(self) -> Secret | None:
        """Return the secret for the backend, which also signs the state in the comment."""
        return self.token or self.api_key

    @property
    def shares_statuses(self) -> bool:
        """Return whether base branches share a status although a commit may pass on one and fail on another."""
        differs = any(options.DROPS & set(gate.limits) or any(r.branches for r in gate.rules) for gate in self.gates)
        return differs and self.status and BASE not in self.status_context

    def context_of(self, gate: str, base: str) -> str:
        return f"{self.status_context.replace(BASE, base)} / {gate}"


def input_layer(texts: Mapping[str, str]) -> Layer:
    return Layer(Source.INPUTS, texts, lambda spelling: f"input `{spelling}`")


def flag_layer(texts: Mapping[str, str]) -> Layer:
    return Layer(Source.FLAGS, texts, flag)


def environment_layer(environ: Mapping[str, str]) -> Layer:
    texts = {option.name: environ.get(option.environment, "") for option in OPTIONS if option.environment}
    return Layer(Source.ENVIRONMENT, texts, lambda spelling: f"environment variable {BY_NAME[spelling].environment}")


def flag(spelling: str) -> str:
    return "--" + spelling.replace("_", "-")


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
        ignored = tuple(layer.label(options.PATHS.name) for layer in layers if layer.given(options.PATHS))
        layers = tuple(replace(layer, texts={**layer.texts, options.PATHS.name: ""}) for layer in layers)
    policy = policy or Policy(path="")
    flags = [layer for layer in layers if layer.source is Source.FLAGS]
    has_fixed_stage = any(layer.given(options.ENFORCEMENT) for layer in flags)
    step = OptionReader((*layers, *policy_layers(policy)))
    gates, readers = [], [step]
    for section in policy.gates or (None,):
        reader = OptionReader((*layers, *policy_layers(policy, section, branch, today)))
        gate = _read_gate(reader, find_traces)
        rules = (section and section.rules) or policy.top.rules
        gates.append(gate if has_fixed_stage else replace(gate, rules=rules))
        readers.append(reader)
    step.check_duplicate_names(gates)
    settings = replace(_settings(step, gates), ignored=ignored)
    if flags and not settings.baseline_dir:
        settings = _without_drops(settings)
    settings = replace(settings, overridden=tuple(sorted({name for each in readers for name in each.overridden})))
    if (longest := max(len(settings.context_of(gate.name, branch)) for gate in gates)) > MAX_CONTEXT_LENGTH:
        named = f"with the branch {json_reader.preview(branch)} for `{BASE}`, a status context has {longest} characters"
        step.add_problem(options.STATUS_CONTEXT, f"{named}; accepted: at most {MAX_CONTEXT_LENGTH}")
    if problems := _in_order(readers):
        of_key = (options.COMMENT_KEY, options.NAME, options.CAMPAIGN)
        hidden = any(reader.has_problem(option) for reader in readers for option in of_key)
        raise ConfigurationError(problems, "" if hidden else settings.comment_key)
    return settings


def _without_drops(settings: Settings) -> Settings:
    names = tuple(sorted({name for gate in settings.gates for name in options.DROPS & gate.limits.keys()}))
    gates = (
        replace(gate, limits={name: each for name, each in gate.limits.items() if name not in names})
        for gate in settings.gates
    )
    return replace(settings, gates=tuple(gates), uncompared=names)


def read_inputs(layers: Iterable[Layer], policy: Policy | None = None) -> Settings:
    """Return the settings known before the gates, with every problem. `policy` is None until it is read."""
    layers = tuple(layers)
    reader = OptionReader((*layers, *policy_layers(policy or Policy(path=""))))
    for option in OPTIONS:
        reader.value(option)
    has_secret = any(reader.value(each) or reader.has_problem(each) for each in (options.TOKEN, options.API_KEY))
    name = reader.value(options.NAME) or reader.value(options.CAMPAIGN)
    settings = _settings(reader, [Gate(name=name, campaign=name)] if name else [])
    missing = "" if has_secret else layers[0].label(options.TOKEN.name)
    return replace(settings, problems=_in_order([reader]), missing_secret=missing)


def _settings(reader: OptionReader, gates: Sequence[Gate]) -> Settings:
    config = reader.value(options.CONFIG)
    several = f"{SEVERAL_GATES_KEY}:{config}" if config else SEVERAL_GATES_KEY  # each step has a file of its own
    key = gates[0].name if len(gates) == 1 else several
    return Settings(
        gates=tuple(gates),
        base_url=reader.value_or_default(options.BASE_URL),
        token=reader.value(options.TOKEN),
        api_key=reader.value(options.API_KEY),
        github_token=reader.value(options.GITHUB_TOKEN),
        comment=reader.value_or_default(options.COMMENT),
        comment_key=reader.value(options.COMMENT_KEY) or key,
        status=reader.value_or_default(options.STATUS),
        status_context=reader.value_or_default(options.STATUS_CONTEXT),
        pull_request=reader.value(options.PR_NUMBER),
        baseline_dir=reader.value(options.BASELINE_DIR) or "",
        report_dir=reader.value(options.REPORT_DIR) or "",
        config=config or options.CONFIG.default,
        config_is_given=config is not None,
    )


def _in_order(readers: Iterable[OptionReader]) -> tuple[Problem, ...]:
    """Return every problem once, in the order of the option table, unknown names last."""
    problems = [each for reader in readers for each in reader.problems]
    problems.sort(key=lambda each: OPTIONS.index(each[0]) if each[0] else len(OPTIONS))
    return tuple(dict.fromkeys(problem for _, problem in problems))


def _read_gate(reader: OptionReader, find_traces: TraceFinder) -> Gate:
    campaign = reader.value(options.CAMPAIGN)
    if campaign is None and not reader.has_problem(options.CAMPAIGN):
        reader.add_problem(options.CAMPAIGN, f"it is required, but not set; accepted: {options.CAMPAIGN.kind.accepts}")
    return Gate(
        name=reader.value(options.NAME) or (campaign or "")[: kinds.MAX_NAME_LENGTH],
        campaign=campaign or "",
        project=reader.value(options.PROJECT) or "",
        traces=tuple(_traces(reader, find_traces)) or Gate(name="", campaign="").traces,
        mutation_pack=reader.value(options.MUTATION_PACK) or "",
        limits=reader.limits(),
        required_mutation_categories=reader.value(options.REQUIRED_MUTATION_CATEGORIES) or (),
        stage=reader.value_or_default(options.ENFORCEMENT),
        on_undecided=reader.value_or_default(options.ON_UNDECIDED),
        confirm=reader.value_or_default(options.CONFIRM),
        timeout_s=reader.value_or_default(options.TIMEOUT),
        reviewers=reader.value(options.REVIEWERS) or (),
        paths=reader.value(options.PATHS),
        remedies=reader.remedies(),
    )


def policy_layers(
    policy: Policy, gate: PolicySection | None = None, branch: str = "", today: date = date.min
) -> Iterator[Layer]:
    """Yield the layers of a gate and of the file's top level, with the stage that applies on this branch today."""
    for section in filter(None, (gate, policy.top)):
        texts = {name: given.text for name, given in section.texts.items()}
        if section.rules:
            texts[options.ENFORCEMENT.name] = stage_today(section.rules, branch, today)
        lines = {options.ENFORCEMENT.name: section.line} | {name: each.line for name, each in section.texts.items()}
        yield Layer(Source.POLICY, texts, lambda spelling: f"`{spelling}`", policy.path, section.line, lines)


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
    def __init__(self, layers: Iterable[Layer]) -> None:
        self._layers = sorted(layers, key=lambda layer: layer.source)
        secrets = [option.name for option in OPTIONS if option.secret]
        given = [layer.texts.get(name, "").strip() for layer in self._layers for name in secrets]
        given = [part for text in given for part in (text, *text.split())]  # a report may split one with white space
        self._redact = Redactor(given)
        self.problems: list[tuple[Option[object] | None, Problem]] = []  # None for an unknown name
        self.overridden: set[str] = set()
        for layer in self._layers:
            for spelling in (each for each in layer.texts if each not in BY_NAME):
                shown = json_reader.printable(spelling)
                self._add(layer, shown, f"it is not known{kinds.did_you_mean(shown, BY_NAME)}")

    def value_or_default(self, option: Option[T]) -> T:
        value = self.value(option)
        return option.default_value if value is None else value

    def remedies(self) -> Mapping[str, str]:
        shared = [option for option in OPTIONS if not option.actions_only]
        giving = ((option, layer) for option in shared for layer in reversed(self._layers) if layer.given(option))
        return {option.name: layer.remedy(option) for option, layer in giving}  # the first layer replaces the others

    def limits(self) -> Mapping[str, float]:
        given = {option.name: self.value(option) for option in options.LIMITS}
        for name, default in options.DEFAULT_LIMITS.items():
            replaced = name == options.MIN_PASS_RATE.name and given[options.MIN_RELIABILITY_SCORE.name] is not None
            if given[name] is None and not replaced:
                given[name] = default
        return {name: limit for name, limit in given.items() if limit is not None}

    def value(self, option: Option[T]) -> T | None:
        """Return the option's value from the first layer that has one; None if there is none or it is not accepted."""
        for layer in self._layers:
            if given := layer.given(option):
                spelling, text = next(iter(given.items()))
                below = {Source.FLAGS: Source.POLICY, Source.POLICY: Source.INPUTS}.get(layer.source)
                others = (each.given(option).values() for each in self._layers if each.source is below)
                if next(chain.from_iterable(others), text) != text:
                    self.overridden.add(option.name)
                try:
                    return self._parsed(option, given)
                except ValueError as error:
                    self._add(layer, spelling, str(error))
                    return None
        return None

    def _parsed(self, option: Option[T], given: Mapping[str, str]) -> T:
        """Return the value of the texts of one layer; raises ValueError, which says what is accepted."""
        if len(set(given.values())) > 1:
            listed = " and ".join(f"`{each}` ({self._shown(option, given[each])})" for each in given)
            raise ValueError(f"{listed} are the same setting, but differ; set one of them")
        text = next(iter(given.values()))
        try:
            value = option.kind.read(text)
        except ValueError as error:
            is_safe = option.secret or self._redact(text) == text  # a hint may quote a part that redaction misses
            hint = f" ({error})" if str(error) and is_safe else ""
            message = f"{self._shown(option, text)} is not accepted{hint}; accepted: {option.kind.accepts}"
            raise ValueError(message) from None
        if not option.secret and option is not options.BASE_URL:  # no report shows these
            texts = map(str, value if isinstance(value, tuple) else (value,))
            if any(self._redact(each) != each for each in texts):  # a report could show a form that redaction misses
                raise ValueError("its value contains a secret, which reports would show; remove it")
        return value

    def check_duplicate_names(self, gates: Iterable[Gate]) -> None:
        counts = Counter(gate.name.casefold() for gate in gates if gate.name)
        flags = (layer for layer in self._layers if layer.source is Source.FLAGS)
        given = next((each for layer in flags for each in (options.NAME, options.CAMPAIGN) if layer.given(each)), None)
        for name, times in counts.items():
            if times > 1:
                shown = json_reader.preview(self._redact(name))
                remedy = ONE_GATE if given else "give each its own `name`"
                self.add_problem(given or options.NAME, f"{times} gates are named {shown}; {remedy}")

    def add_problem(self, option: Option[object], message: str) -> None:
        """Add a problem in an option to the layer that gives it, else to that of the policy file, or the first one."""
        giving = [each for each in self._layers if each.given(option)]
        of_file = [each for each in self._layers if each.file and option.allowed_in]
        layer = (giving or of_file or [each for each in self._layers if each.source is not Source.POLICY])[0]
        self._add(layer, option.name, message)

    def has_problem(self, option: Option[object]) -> bool:
        return any(each is option for each, _ in self.problems)

    def _shown(self, option: Option[object], text: str) -> str:
        """Return a value as an error message shows it, without secrets and URLs that may contain one."""
        hidden = option.secret or (option is options.BASE_URL and any(mark in text for mark in "@?#"))
        if hidden or may_be_secret(text):
            return "the value"
        return json_reader.preview(self._redact(json_reader.printable(text)))

    def _add(self, layer: Layer, spelling: str, message: str) -> None:
        problem = Problem(layer.label(spelling), message, layer.file, layer.lines.get(spelling, layer.line))
        self.problems.append((BY_NAME.get(spelling), problem.redacted(self._redact)))  # any may quote a secret
