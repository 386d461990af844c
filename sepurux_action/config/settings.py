"""Turns inputs, environment variables, and the policy into Settings, with every problem in them.

In a workflow, the policy overrides inputs, and environment variables do not count. On a command line, flags override
the policy, and the policy overrides environment variables (docs/policy.md).
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from datetime import date
from operator import attrgetter
from typing import NamedTuple, cast

from sepurux_action.common import T, json_reader, wording
from sepurux_action.common.secret import LIKE_A_SECRET, Redactor, Secret
from sepurux_action.config import options, parsers
from sepurux_action.config.options import (
    BY_NAME,
    OPTIONS,
    CommentMode,
    Layer,
    OnOutage,
    Option,
    SectionKind,
    Source,
    Stage,
)
from sepurux_action.config.parsers import Filter
from sepurux_action.errors import ConfigurationError, Problem, TraceFileError

POLICY_PATH = ".github/sepurux-gate.yml"
MISNAMED_PATH = ".github/sepurux-gate.yaml"  # where the file may be by mistake
MAX_FILE_BYTES = 256 * 1024  # bytes
CONTEXT_PREFIX = "Sepurux / "
MAX_CONTEXT_LENGTH = 255  # GitHub's limit on the characters of a status context
OF_INPUT = "of the input"  # a campaign that only the workflow gives
_BELOW = {Source.FLAGS: Source.POLICY, Source.POLICY: Source.INPUTS}  # what a source is said to override
_TRACES = {options.TRACE_ID.name, options.TRACE_FILE.name}
_NOTHING = Layer(Source.POLICY)
REGISTERED = "registered scenarios"  # the campaign's own, which run if a gate names no trace


class Call(NamedTuple):
    """A call of a tool with the names of its arguments, all as they are shown."""

    tool: str
    arguments: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.tool}({', '.join(self.arguments)})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """One trace: an id, or the JSON of a file to upload, or neither. `recorded`: POSIX time of its newest event.

    `task` is the name of its task, '' if it has none. Traces of one task are recordings of one scenario. `calls` are
    the first ones of a file. `call_at` has the number of a call, from 1, by the indices of its event and its results.
    `by_recorder`: a file says that the project's recorder wrote it. `own_failures` are those that it then says itself,
    each with the index of the event of the call before it. Of a flaky scenario, `flaky` is its last day.
    """

    label: str
    trace_id: str = ""
    content: bytes | None = field(default=None, repr=False)
    recorded: float | None = None
    task: str = ""
    by_recorder: bool = False
    own_failures: tuple[tuple[str, int | None], ...] = field(default=(), repr=False)
    calls: tuple[Call, ...] = field(default=(), repr=False)
    call_at: Mapping[float, int] = field(default_factory=dict, repr=False, hash=False)
    flaky: date | None = None

    @property
    def scenario(self) -> tuple[str, str]:
        """Return the kind and the name of its scenario: a task may have the name of a file."""
        if self.task:
            return "task", self.task
        return "id" if self.content is None else "path", self.label


ALL_SCENARIOS = (Trace(label=REGISTERED),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """All settings of one gate.

    `limits` are the thresholds and drops that are set, by the names of their options: rates are fractions, scores are 0
    to 100, counts are whole numbers. A gate is `skipped`, and no trace file is read, if no change matches its `paths`.
    """

    name: str
    campaign: str
    project: str = ""
    traces: tuple[Trace, ...] = ALL_SCENARIOS
    mutation_pack: str = ""
    limits: Mapping[str, float] = field(default_factory=lambda: options.DEFAULT_LIMITS)
    required_mutation_categories: tuple[str, ...] = ()
    stage: Stage = Stage.HARD
    on_outage: OnOutage = OnOutage.BLOCK
    timeout_s: float = options.DEFAULT_TIMEOUT_S
    reviewers: tuple[str, ...] = ()
    paths: Filter | None = None
    flaky: tuple[tuple[str, date], ...] = ()
    skipped: bool = False

    @property
    def names_traces(self) -> bool:
        return any(trace.trace_id or trace.content is not None for trace in self.traces)

    @property
    def has_several_traces(self) -> bool:
        """Return whether the gate itself compares the numbers of its traces, as also that of a flaky one alone."""
        return len(self.traces) > 1 or any(trace.flaky for trace in self.traces)

    def remarks_on_flaky(self, today: date) -> Iterator[str]:
        names = {trace.scenario[1] for trace in self.traces}
        for name, day in self.flaky:
            shown = json_reader.preview(name)
            if name not in names:
                yield f"`flaky` names the scenario {shown}, which this gate does not have."
            elif day < today:
                yield f"The scenario {shown} was flaky until {day}, and counts again."

    @property
    def uploads_traces(self) -> bool:
        return any(trace.content is not None for trace in self.traces)


def unread_traces(path: str) -> tuple[Trace, ...]:
    return (Trace(label=path, content=b""),)


TraceFinder = Callable[[str], tuple[Trace, ...]]  # the traces that a path or glob matches; raises TraceFileError
Skip = Callable[[Filter], bool]  # whether no changed file matches


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of a run, as far as they are known, and every `problem` in them. Absent secrets are None.

    Before the policy is read, the only gate has the name and the campaign of the other sources, '' without them.
    `overridden` are the options of which the policy overrides an input, or a flag the policy.
    """

    gates: tuple[Gate, ...] = ()
    comment: CommentMode = CommentMode.ALWAYS
    baseline_dir: str = ""
    report_dir: str = ""
    base_url: str = options.BASE_URL.default
    token: Secret | None = field(default=None, repr=False)
    api_key: Secret | None = field(default=None, repr=False)
    github_token: Secret | None = field(default=None, repr=False)
    overridden: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()


def read_settings(
    layers: Sequence[Layer],
    find: TraceFinder | None = None,
    policy: Layer | None = None,
    suffix: str = "",
    skip: Skip = lambda _: False,
) -> Settings:
    """Return the settings; without `find`, those before the policy is read. `suffix` ends the context of a status."""
    layers = sorted([*layers, policy] if policy else layers, key=attrgetter("source"))
    reading, gates = _Reading(layers), policy.gates if policy else ()
    if policy and gates and (name := reading.value(options.NAME)) is not None:
        gates = tuple(gate for gate in gates if policy.name_of(gate).casefold() == name.casefold())
        if not gates:
            gates = policy.gates
            listed = ", ".join(json_reader.preview(policy.name_of(gate)) for gate in gates)
            reading.add(options.NAME, f"must be a gate of the policy file ({listed}), not {json_reader.preview(name)}")
    nameless = ({key: each for key, each in layer.given.items() if key != options.NAME.name} for layer in layers)
    others = [replace(layer, given=given) for layer, given in zip(layers, nameless, strict=True)]
    of_gates = [sorted([gate, *others], key=attrgetter("source")) for gate in gates] or [layers]
    found = tuple(_read_gate(reading.within(each), find, skip) for each in of_gates)
    most = max(Counter(gate.name.casefold() for gate in found if gate.name).values(), default=1)
    if most > 1:  # only by a flag: the parser of the file has compared its names
        reading.add(options.CAMPAIGN, f"must not be the name of {most} gates; select one with --name")
    if (longest := max(len(f"{CONTEXT_PREFIX}{gate.name}{suffix}") for gate in found)) > MAX_CONTEXT_LENGTH:
        message = (
            f"must leave at most {MAX_CONTEXT_LENGTH} characters for the context of a status, which has the branch"
        )
        reading.add(options.NAME, f"{message} too, not {longest}")
    return Settings(
        gates=found,
        comment=reading.value(options.COMMENT) or CommentMode.ALWAYS,
        baseline_dir=reading.value(options.BASELINE_DIR) or "",
        report_dir=reading.value(options.REPORT_DIR) or "",
        base_url=reading.value(options.BASE_URL) or options.BASE_URL.default,
        token=reading.value(options.TOKEN),
        api_key=reading.value(options.API_KEY),
        github_token=reading.value(options.GITHUB_TOKEN),
        overridden=tuple(sorted(reading.overridden)),
        problems=tuple(sorted(reading.problems, key=reading.problems.__getitem__)),
    )


def _read_gate(reading: "_Reading", find: TraceFinder | None, skip: Skip) -> Gate:
    given = {each.name for each in OPTIONS if reading.value(each) is not None}
    name, campaign = reading.value(options.NAME) or "", reading.value(options.CAMPAIGN) or ""
    if find is None:
        return Gate(name=name or campaign, campaign=campaign)
    if reading.first(options.CAMPAIGN) is None:
        reading.add(options.CAMPAIGN, f"must be {options.CAMPAIGN.accepts}, but is not set")
    for option in (options.MIN_SCENARIO_PASS_RATE, options.FLAKY):
        if reading.first(option) and not given & _TRACES:
            reading.add(option, "must come with `trace_file` or `trace_id`, but the gate has neither")
    if campaign and reading.first(options.NAME) is None:
        try:
            name = options.NAME.read(campaign)
        except ValueError as error:
            reading.add(options.CAMPAIGN, f"must be a name of the gate too, but {error}; set `name`")
    limits = dict(options.DEFAULT_LIMITS)
    if options.MIN_RELIABILITY_SCORE.name in given:
        del limits[options.MIN_PASS_RATE.name]
    limits |= {each.name: limit for each in options.LIMITS if (limit := reading.value(each)) is not None}
    paths = reading.value(options.PATHS)
    skipped = paths is not None and skip(paths)
    return Gate(
        name=name,
        campaign=campaign,
        project=reading.value(options.PROJECT) or "",
        traces=(() if skipped else _read_traces(reading, find)) or ALL_SCENARIOS,
        mutation_pack=reading.value(options.MUTATION_PACK) or "",
        limits=limits,
        required_mutation_categories=reading.value(options.REQUIRED_MUTATION_CATEGORIES) or (),
        stage=reading.value(options.ENFORCEMENT) or Stage.HARD,
        on_outage=reading.value(options.ON_OUTAGE) or OnOutage.BLOCK,
        timeout_s=reading.value(options.TIMEOUT) or options.DEFAULT_TIMEOUT_S,
        reviewers=reading.value(options.REVIEWERS) or (),
        paths=paths,
        flaky=reading.value(options.FLAKY) or (),
        skipped=skipped,
    )


def _read_traces(reading: "_Reading", find: TraceFinder) -> tuple[Trace, ...]:
    ids = reading.value(options.TRACE_ID) or ()
    files = dict[Trace, None]()  # a dict, because globs overlap
    for pattern in reading.value(options.TRACE_FILE) or ():
        try:
            files.update(dict.fromkeys(find(pattern)))
        except TraceFileError as error:
            for problem in error.args:
                reading.add(options.TRACE_FILE, problem)
    if len(ids) + len(files) > parsers.MAX_TRACES:
        given = f"{len(files)} files{wording.optional(' beside {} trace ids', len(ids))}"
        reading.add(options.TRACE_FILE, f"must name at most {parsers.MAX_TRACES} traces for one gate, not {given}")
    return *(Trace(label=trace_id, trace_id=trace_id) for trace_id in ids), *files


class _Reading:
    """Reads options, each from the first layer that gives it, and collects problems, with the row of their option."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        self.layers = layers
        self.problems: dict[Problem, int] = {}
        self.overridden: set[str] = set()
        secrets = [layer.text(option) for layer in layers for option in options.SECRETS]
        # a report may split a secret with white space
        self._redact = Redactor(part for text in secrets for part in (text, *text.split()))
        known = [name for option in options.INPUTS for name in option.names]
        for layer in layers:
            for spelling in map(json_reader.printable, layer.unknown):
                step = wording.optional("did you mean `{}`?", parsers.similar(spelling, known))
                if spelling in BY_NAME:
                    step = "set it in the policy file"
                message = wording.joined("; ", f"there is no {layer.source.label(spelling)}", step)
                problem = Problem("", message, layer.file).redacted(self._redact)
                self.problems.setdefault(problem, len(OPTIONS))

    def within(self, layers: Sequence[Layer]) -> "_Reading":
        """Return a reading of other layers that adds its problems to the same ones."""
        reading = copy(self)
        reading.layers = layers
        return reading

    def first(self, option: Option[object]) -> Layer | None:
        """Return the first layer that gives an option. One that names traces in one way counts for both ways."""
        names = _TRACES if option.name in _TRACES else {option.name}
        return next((layer for layer in self.layers if not names.isdisjoint(layer.given)), None)

    def value(self, option: Option[T]) -> T | None:
        """Return the option's value from the first layer that has one; None if there is none or it is not accepted."""
        layer, message = self.first(option), ""
        if layer is None:
            return None
        text, given = layer.text(option), layer.given.get(option.name)
        below = (each.text(option) for each in self.layers if each.source is _BELOW.get(layer.source))
        if next(filter(None, below), text) != text:
            self.overridden.add(option.name)
        if given is None:
            return None
        values = map(str, given.value if isinstance(given.value, tuple) else (given.value,))
        is_secret = option in options.SECRETS
        if given.hint is not None:
            # it may quote what redaction misses
            hint = given.hint if is_secret or self._redact(text) == text else ""
            message = option.rejection(self._shown(option, text), hint)
        # a report shows no secret, and the base URL redacted; it could show a form of others that redaction misses
        elif not is_secret and option is not options.BASE_URL and any(self._redact(each) != each for each in values):
            message = "must not contain a secret, which reports would show"
        if message:
            self.add(option, message)
        return None if message else cast("T", given.value)

    def add(self, option: Option[object], message: str) -> None:
        """Add a problem in an option to the layer that gives it, else to that of the policy file, or the first one."""
        layer = self.first(option)
        if layer is None or option.name not in layer.given:
            layer = next((each for each in self.layers if each.source is Source.POLICY), self.layers[0])
        problem = layer.problem(option, message).redacted(self._redact)  # any may quote a secret
        self.problems.setdefault(problem, OPTIONS.index(option))

    def _shown(self, option: Option[object], text: str) -> str:
        """Return a value as an error message shows it; '' for a secret, and for a URL that may contain one."""
        in_url = option is options.BASE_URL and any(mark in text for mark in "@?#")
        if option in options.SECRETS or in_url or LIKE_A_SECRET.match(text):
            return ""
        return json_reader.preview(self._redact(json_reader.printable(text)))


def gate_plans(policy: Layer | None) -> Iterator[str]:
    """Yield what a policy means for each gate; raises ConfigurationError. What it does not set is left to inputs."""
    policy = policy or _NOTHING
    inputs = {options.CAMPAIGN.name: OF_INPUT, options.TRACE_FILE.name: "*"}  # which the workflow may give
    settings = read_settings([options.input_layer(inputs)], unread_traces, policy)
    if settings.problems:
        raise ConfigurationError(settings.problems)
    for gate, layer in zip(settings.gates, policy.gates or [policy], strict=True):
        rows = {name: wording.decimal(limit) for name, limit in gate.limits.items()}
        others = [each for each in OPTIONS if SectionKind.GATE in each.allowed_in]
        for option in (options.REQUIRED_MUTATION_CATEGORIES, *others):
            text = layer.text(option) or policy.text(option) or option.default
            rows[option.name] = ", ".join(text.splitlines())
        name = "a gate without a name" if gate.name == OF_INPUT else gate.name
        yield f"{name}: {'; '.join(f'{option} {text}' for option, text in rows.items() if text)}"


@dataclass(frozen=True, slots=True)
class Change:
    """One value that differs between two policies, '' where it is not set.

    `gate` is '' for the top level, and `setting` is '' for a gate as a whole, which one of the policies lacks.
    """

    setting: str
    old: str
    new: str
    gate: str = ""


def diff(old: Layer, new: Layer) -> tuple[Change, ...]:
    """Return the values that differ, in the order of the file. `0.9` and `90%` are the same value."""
    rows, (olds, news) = list[Change](), ({"": policy} for policy in (old, new))
    for policy, gates in ((old, olds), (new, news)):
        for number, gate in enumerate(policy.gates, start=1):
            gates[policy.name_of(gate).casefold() or f"#{number}"] = gate
    for key in {**olds, **news}:
        before, after, name = olds.get(key, _NOTHING), news.get(key, _NOTHING), ""
        if key:
            name = json_reader.printable(old.name_of(before) if key in olds else new.name_of(after))
            name = name or key.removeprefix("#")
        if key not in olds:
            rows.append(Change("", "", "listed", name))
        if key not in news:
            rows.append(Change("", "listed", "", name))
        for option in OPTIONS:
            was, is_now = before.given.get(option.name), after.given.get(option.name)
            if (was and was.value) != (is_now and is_now.value):
                texts = [json_reader.printable(", ".join(each.text(option).splitlines())) for each in (before, after)]
                rows.append(Change(option.name, texts[0], texts[1], name))
    return tuple(rows)
