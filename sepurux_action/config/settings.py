"""Turns inputs, environment variables, and the policy into Settings, or reports every problem in them at once.

In a workflow, the policy overrides inputs, and environment variables do not count. On a command line, flags override
the policy, and the policy overrides environment variables. Defaults come last.
Source: https://github.com/sepurux/gate-action/blob/main/docs/configuration.md#where-a-value-comes-from
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, field, fields
from typing import Any

from sepurux_action.common import T, json_reader
from sepurux_action.common.secret import Redactor, Secret, may_be_secret
from sepurux_action.common.wording import optional
from sepurux_action.config import kinds, options
from sepurux_action.config.gate import ALL_SCENARIOS, Gate, Trace
from sepurux_action.config.layers import Given, Layer, Source
from sepurux_action.config.options import BY_NAME, INPUTS, OPTIONS, CommentMode, Option
from sepurux_action.config.path_filter import Filter
from sepurux_action.config.policy import Policy
from sepurux_action.config.stage import Stage
from sepurux_action.errors import ConfigurationError, Problem, TraceFileError

SEVERAL_GATES_KEY = "gates"  # of the comment of a step with several gates
CONTEXT_PREFIX = "Sepurux / "
MAX_CONTEXT_LENGTH = 255  # characters of a status context; GitHub's limit
_BELOW = {Source.FLAGS: Source.POLICY, Source.POLICY: Source.INPUTS}  # what a source is said to override

TRACES = frozenset({options.TRACE_ID.name, options.TRACE_FILE.name})

TraceFinder = Callable[[str], tuple[Trace, ...]]  # the traces that a path or glob matches; raises TraceFileError
Skip = Callable[[Filter], bool]  # whether no changed file matches


def context_of(gate: str, suffix: str) -> str:
    return f"{CONTEXT_PREFIX}{gate}{suffix}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What inputs, or flags and environment, say about options that no policy file can set. Absent secrets are None.

    `names` has the gate that the layers name. `problems` are all in the layers. `config` is the policy file that a
    command line names.
    """

    names: tuple[str, ...] = ()
    report_dir: str = ""
    campaign: str = ""
    base_url: str = options.BASE_URL.default
    token: Secret | None = field(default=None, repr=False)
    api_key: Secret | None = field(default=None, repr=False)
    github_token: Secret | None = field(default=None, repr=False)
    config: str = ""
    problems: tuple[Problem, ...] = ()

    @property
    def secret(self) -> Secret | None:
        """Return the secret for the backend."""
        return self.token or self.api_key


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of a run that a policy file can set.

    `overridden` are the options of which the policy overrides an input, or a flag the policy.
    """

    gates: tuple[Gate, ...] = ()
    comment: CommentMode = options.COMMENT.default_value
    baseline_dir: str = ""
    overridden: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(gate.name for gate in self.gates)

    @property
    def key(self) -> str:
        """Return what distinguishes the comment from those of other steps: the only gate's name."""
        return self.names[0] if len(self.gates) == 1 else SEVERAL_GATES_KEY


def read_inputs(layers: Sequence[Layer]) -> Inputs:
    """Return what is known before the policy is read, with every problem in the layers."""
    reader = OptionReader(layers)
    reader.values(*OPTIONS)
    names = tuple(filter(None, [reader.value(options.NAME) or reader.value(options.CAMPAIGN)]))
    return Inputs(**reader.fields_of(Inputs), names=names, problems=reader.problems)


def read_settings(
    layers: Sequence[Layer],
    find: TraceFinder,
    policy: Policy | None = None,
    suffix: str = "",
    skip: Skip = lambda _: False,
) -> Settings:
    """Return the settings. The first layer with a value for an option applies, after the policy, except for flags.

    `suffix` ends the context of each status. Raises ConfigurationError with every problem.
    """
    step = OptionReader(layers)
    readers = [step]
    if policy:
        step = OptionReader([*layers, policy.top])
        readers = [step.within(gate) for gate in _selected(step, policy)] or [step]
    gates = tuple(_read_gate(each, find, skip) for each in readers)
    settings = Settings(**step.fields_of(Settings), gates=gates, overridden=tuple(sorted(step.overridden)))
    step.check(settings, suffix)
    return settings


def _selected(step: "OptionReader", policy: Policy) -> Sequence[Layer]:
    """Return the gates of a policy file, or the one that `name` selects."""
    name = step.value(options.NAME)
    if name is None or not policy.gates:
        return policy.gates
    found = [gate for gate in policy.gates if policy.name(gate).casefold() == name.casefold()]
    if not found:
        listed = ", ".join(json_reader.preview(policy.name(gate)) for gate in policy.gates)
        step.add_problem(options.NAME, f"the policy file has no gate {json_reader.preview(name)}; accepted: {listed}")
    return found or policy.gates


def _read_gate(reader: "OptionReader", find: TraceFinder, skip: Skip) -> Gate:
    given = reader.values(*OPTIONS)  # all, to find the problems in the options of the step too
    if reader.given(options.CAMPAIGN) is None:
        reader.add_problem(options.CAMPAIGN, f"it is required, but not set; accepted: {options.CAMPAIGN.kind.accepts}")
    if not given.keys() & {options.TRACE_ID.name, options.TRACE_FILE.name}:
        for option in filter(reader.given, options.NEED_TRACES):
            reader.add_problem(option, "the gate names no trace; accepted: with `trace_file` or `trace_id`")
    paths: Filter | None = given.get(options.PATHS.name)
    skipped = paths is not None and skip(paths)
    limits = dict(options.DEFAULT_LIMITS)
    if options.MIN_RELIABILITY_SCORE.name in given:
        del limits[options.MIN_PASS_RATE.name]
    limits |= {each.name: given[each.name] for each in options.LIMITS if each.name in given}
    return Gate(
        **{options.CAMPAIGN.name: "", **reader.fields_of(Gate), options.NAME.name: reader.gate_name},
        traces=(() if skipped else tuple(_traces(reader, find))) or ALL_SCENARIOS,
        skipped=skipped,
        limits=limits,
        stage=reader.value(options.ENFORCEMENT) or Stage.HARD,
        timeout_s=reader.value(options.TIMEOUT) or options.TIMEOUT.default_value,
    )


def _traces(reader: "OptionReader", find: TraceFinder) -> Iterator[Trace]:
    ids = reader.value(options.TRACE_ID) or ()
    yield from (Trace(label=trace_id, trace_id=trace_id) for trace_id in ids)
    files = dict[Trace, None]()  # a dict, because globs overlap
    for pattern in reader.value(options.TRACE_FILE) or ():
        try:
            files.update(dict.fromkeys(find(pattern)))
        except TraceFileError as error:
            for problem in error.args:
                reader.add_problem(options.TRACE_FILE, problem)
    if len(ids) + len(files) > kinds.MAX_TRACES:
        given = f"{len(files)} files{optional(' beside {} trace ids', len(ids))}"
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
        self._problems: dict[Problem, Option[object] | None] = {}  # with the option, None for an unknown name
        self.overridden: set[str] = set()
        for layer in self._layers:
            for spelling in map(json_reader.printable, layer.unknown):
                similar = kinds.did_you_mean(spelling, (name for option in INPUTS for name in option.names))
                message = (
                    "it is no input; set it in the policy file" if spelling in BY_NAME else f"it is not known{similar}"
                )
                self._add(None, Problem(layer.source.label(spelling), message))

    def within(self, gate: Layer) -> "OptionReader":
        """Return a reader of these layers, which name no gate, and that of a gate, with the same list of problems."""
        reader = copy(self)
        others = (layer.only(BY_NAME.keys() - {options.NAME.name}) for layer in self._layers)
        reader._layers = sorted((gate, *others), key=lambda layer: layer.source)  # noqa: SLF001 - of this class
        return reader

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Return every problem once, in the order of the option table, unknown names last."""
        return tuple(sorted(self._problems, key=lambda each: (*OPTIONS, None).index(self._problems[each])))

    def check(self, settings: Settings, suffix: str) -> None:
        """Raise ConfigurationError with every problem, if there is any."""
        self._check_duplicate_names(settings.names)
        if (longest := max(len(context_of(name, suffix)) for name in settings.names)) > MAX_CONTEXT_LENGTH:
            message = f"with the branch, the context of a status has {longest} characters"
            self.add_problem(options.NAME, f"{message}; accepted: at most {MAX_CONTEXT_LENGTH}")
        if self._problems:
            raise ConfigurationError(self.problems)

    def _layer_of(self, option: Option[object]) -> Layer | None:
        """Return the first layer that gives an option. One that names traces in one way counts for both ways."""
        names = TRACES if option.name in TRACES else {option.name}
        return next((layer for layer in self._layers if not names.isdisjoint(layer.given)), None)

    def given(self, option: Option[object]) -> Given | None:
        layer = self._layer_of(option)
        return layer.given.get(option.name) if layer else None

    def value(self, option: Option[T]) -> T | None:
        """Return the option's value from the first layer that has one; None if there is none or it is not accepted."""
        layer = self._layer_of(option)
        if layer is None:
            return None
        text = layer.text(option)
        below = (each.text(option) for each in self._layers if each.source is _BELOW.get(layer.source))
        if next(filter(None, below), text) != text:
            self.overridden.add(option.name)
        given = layer.given.get(option.name)
        if given is None:
            return None
        if message := self._problem(option, given):
            self._add(option, given.place.problem(message))
            return None
        value: T = given.value
        return value

    def values(self, *listed: Option[object]) -> dict[str, Any]:
        """Return the options that have a value, by their names."""
        return {option.name: value for option in listed if (value := self.value(option)) is not None}

    def fields_of(self, kind: type[Any]) -> dict[str, Any]:
        """Return the options that have a value and are fields of a dataclass, by their names."""
        return self.values(*(BY_NAME[each.name] for each in fields(kind) if each.name in BY_NAME))

    @property
    def gate_name(self) -> str:
        """Return the gate's name, by default its campaign; '' without both, or if the campaign cannot be a name."""
        campaign = self.value(options.CAMPAIGN) or ""
        if campaign and self.given(options.NAME) is None:
            try:
                return options.NAME.kind.read(campaign)
            except ValueError as error:
                self.add_problem(options.CAMPAIGN, f"it is the name of the gate too, but {error}; set `name`")
        return self.value(options.NAME) or ""

    def _check_duplicate_names(self, names: Iterable[str]) -> None:
        most = max(Counter(map(str.casefold, filter(None, names))).values(), default=1)
        if most > 1:  # only by a flag: the parser of the file has compared its names
            self.add_problem(options.CAMPAIGN, f"{most} gates would have its name; select one with --name")

    def add_problem(self, option: Option[object], message: str) -> None:
        """Add a problem in an option to the layer that gives it, else to that of the policy file, or the first one."""
        name, at = self.given(options.NAME), (layer for layer in self._layers if layer.place.file)
        if given := self.given(option):
            self._add(option, given.place.problem(message))
        elif option is options.CAMPAIGN and name and name.place.file:
            message = f"gate {json_reader.preview(name.text)} has no campaign"
            self._add(option, Problem("", message, name.place.file, name.place.line))
        else:
            self._add(option, next(at, self._layers[0]).problem(option, message))

    def _add(self, option: Option[object] | None, problem: Problem) -> None:
        self._problems.setdefault(problem.redacted(self._redact), option)  # any may quote a secret

    def _problem(self, option: Option[object], given: Given) -> str:
        """Return what is wrong with a value, and what is accepted; '' for one that is accepted."""
        if len(set(given.texts.values())) > 1:
            listed = " and ".join(f"{name} ({self._shown(option, text)})" for name, text in given.texts.items())
            return f"{listed} are the same setting, but differ; set one of them"
        if given.hint is not None:
            # it may quote what redaction misses
            hint = given.hint if option.secret or self._redact(given.text) == given.text else ""
            return option.kind.rejection(self._shown(option, given.text), hint)
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
