"""Turns inputs, environment variables, and the policy into Settings, with every problem in them.

In a workflow, the policy overrides inputs, and environment variables do not count. On a command line, flags override
the policy, and the policy overrides environment variables. Defaults come last.
Source: https://github.com/sepurux/gate-action/blob/main/docs/configuration.md#where-a-value-comes-from
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from operator import attrgetter
from typing import Annotated, NamedTuple, cast

from sepurux_action.common import T, json_reader, wording
from sepurux_action.common.secret import LIKE_A_SECRET, Redactor, Secret
from sepurux_action.common.wording import joined, optional
from sepurux_action.config import options, parsers
from sepurux_action.config.options import BY_NAME, OPTIONS, CommentMode, Given, Layer, OnOutage, Option, Source, Stage
from sepurux_action.config.path_filter import Filter
from sepurux_action.errors import ConfigurationError, Problem, TraceFileError

POLICY_PATH = ".github/sepurux-gate.yml"
MISNAMED_PATH = ".github/sepurux-gate.yaml"  # where the file may be by mistake
MAX_FILE_BYTES = 256 * 1024  # bytes
SEVERAL_GATES_KEY = "gates"  # of the comment of a step with several gates
CONTEXT_PREFIX = "Sepurux / "
MAX_CONTEXT_LENGTH = 255  # characters of a status context; GitHub's limit
OF_INPUT = "of the input"  # a campaign that only the workflow gives
_BELOW = {Source.FLAGS: Source.POLICY, Source.POLICY: Source.INPUTS}  # what a source is said to override
_TRACES = {options.TRACE_ID.name, options.TRACE_FILE.name}
_NEED_TRACES = (options.MIN_SCENARIO_PASS_RATE, options.FLAKY)  # for gates that name traces
_NOTHING = Layer(Source.POLICY)

REGISTERED = "registered scenarios"  # the campaign's own, which run if a gate names no trace


class TraceEvent(NamedTuple):
    """A call of a tool with the names of its arguments, or a result. `number` counts all events of a trace, from 1."""

    number: int
    tool: str
    is_call: bool
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """One trace: an id, or the JSON of a file to upload, or neither. `recorded`: POSIX time of its newest event.

    `task` is the name of its task, '' if it has none. Traces of one task are recordings of one scenario. `events` are
    the first calls and results of a file. Of a flaky scenario, `flaky` is the last day on which it does not count.
    """

    label: str
    trace_id: str = ""
    content: bytes | None = field(default=None, repr=False)
    recorded: float | None = None
    task: str = ""
    events: tuple[TraceEvent, ...] = field(default=(), repr=False)
    flaky: date | None = None

    @property
    def uploaded(self) -> bool:
        return self.content is not None

    @property
    def scenario(self) -> tuple[str, str]:
        """Return the kind and the name of its scenario: a task may have the name of a file."""
        if self.task:
            return "task", self.task
        return "path" if self.uploaded else "id", self.label


ALL_SCENARIOS = (Trace(label=REGISTERED),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """All settings of one gate.

    `limits` are the thresholds and drops that are set, by the names of their options: rates are fractions, scores are 0
    to 100, counts are whole numbers. A gate is `skipped` if the pull request changes no file that matches its `paths`;
    no trace file of it is read then.
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

    def with_timeout(self, hint: str) -> str:
        """Return a hint with the value of `timeout` for `{now}`."""
        return hint.replace("{now}", wording.duration(self.timeout_s))

    @property
    def names_traces(self) -> bool:
        return any(trace.trace_id or trace.uploaded for trace in self.traces)

    @property
    def has_several_traces(self) -> bool:
        """Return whether the gate itself compares the numbers of its traces, as also that of a flaky one alone."""
        return len(self.traces) > 1 or any(trace.flaky for trace in self.traces)

    def on_day(self, today: date) -> "Gate":
        """Return the gate with the scenarios that are flaky on a day."""
        days = {name: day for name, day in self.flaky if day >= today}
        traces = tuple(replace(trace, flaky=days.get(trace.scenario[1])) for trace in self.traces)
        return replace(self, traces=traces)

    @property
    def of_flaky(self) -> "Gate":
        """Return the gate as it starts the runs of flaky scenarios, whose failures do not count."""
        limits = {name: limit for name, limit in self.limits.items() if name != options.MAX_FAILURES.name}
        return replace(self, limits=limits)

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
        return any(trace.uploaded for trace in self.traces)


TraceFinder = Callable[[str], tuple[Trace, ...]]  # the traces that a path or glob matches; raises TraceFileError
Skip = Callable[[Filter], bool]  # whether no changed file matches


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of a run, as far as they are known, and every `problem` in them. Absent secrets are None.

    Before the policy is read, the only gate has the name and the campaign of the other sources, '' without them, and
    `config` is the policy file that a command line names. `overridden` are the options of which the policy overrides an
    input, or a flag the policy.
    """

    gates: tuple[Gate, ...] = ()
    comment: CommentMode = CommentMode.ALWAYS
    baseline_dir: str = ""
    report_dir: str = ""
    base_url: str = options.BASE_URL.default
    token: Secret | None = field(default=None, repr=False)
    api_key: Secret | None = field(default=None, repr=False)
    github_token: Secret | None = field(default=None, repr=False)
    config: str = ""
    overridden: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def key(self) -> str:
        """Return what distinguishes the comment from those of other steps: the only gate's name."""
        return self.gates[0].name if len(self.gates) == 1 else SEVERAL_GATES_KEY


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
    if policy and gates and (name := reading.value(layers, options.NAME)) is not None:
        gates = tuple(gate for gate in gates if policy.name_of(gate).casefold() == name.casefold())
        if not gates:
            gates = policy.gates
            listed = ", ".join(json_reader.preview(policy.name_of(gate)) for gate in gates)
            message = f"the policy file has no gate {json_reader.preview(name)}; accepted: {listed}"
            reading.add(layers, options.NAME, message)
    nameless = ({key: each for key, each in layer.given.items() if key != options.NAME.name} for layer in layers)
    others = [replace(layer, given=given) for layer, given in zip(layers, nameless, strict=True)]
    of_gates = [sorted([gate, *others], key=attrgetter("source")) for gate in gates] or [layers]
    found = tuple(_read_gate(reading, each, find, skip) for each in of_gates)
    most = max(Counter(gate.name.casefold() for gate in found if gate.name).values(), default=1)
    if most > 1:  # only by a flag: the parser of the file has compared its names
        reading.add(layers, options.CAMPAIGN, f"{most} gates would have its name; select one with --name")
    if (longest := max(len(f"{CONTEXT_PREFIX}{gate.name}{suffix}") for gate in found)) > MAX_CONTEXT_LENGTH:
        message = f"with the branch, the context of a status has {longest} characters"
        reading.add(layers, options.NAME, f"{message}; accepted: at most {MAX_CONTEXT_LENGTH}")
    return Settings(
        gates=found,
        comment=reading.value(layers, options.COMMENT) or CommentMode.ALWAYS,
        baseline_dir=reading.value(layers, options.BASELINE_DIR) or "",
        report_dir=reading.value(layers, options.REPORT_DIR) or "",
        base_url=reading.value(layers, options.BASE_URL) or options.BASE_URL.default,
        token=reading.value(layers, options.TOKEN),
        api_key=reading.value(layers, options.API_KEY),
        github_token=reading.value(layers, options.GITHUB_TOKEN),
        overridden=tuple(sorted(reading.overridden)),
        problems=tuple(sorted(reading.problems, key=reading.problems.__getitem__)),
    )


def _read_gate(reading: "_Reading", layers: Sequence[Layer], find: TraceFinder | None, skip: Skip) -> Gate:
    given = {each.name: value for each in OPTIONS if (value := reading.value(layers, each)) is not None}
    name = reading.value(layers, options.NAME) or ""
    campaign = reading.value(layers, options.CAMPAIGN) or ""
    if find is None:
        return Gate(name=name or campaign, campaign=campaign)
    if _first_with(layers, options.CAMPAIGN) is None:
        reading.add(layers, options.CAMPAIGN, f"it is required, but not set; accepted: {options.CAMPAIGN.accepts}")
    for option in _NEED_TRACES:
        if _first_with(layers, option) and not given.keys() & _TRACES:
            reading.add(layers, option, "the gate names no trace; accepted: with `trace_file` or `trace_id`")
    if campaign and _first_with(layers, options.NAME) is None:
        try:
            name = options.NAME.read(campaign)
        except ValueError as error:
            reading.add(layers, options.CAMPAIGN, f"it is the name of the gate too, but {error}; set `name`")
    limits = dict(options.DEFAULT_LIMITS)
    if options.MIN_RELIABILITY_SCORE.name in given:
        del limits[options.MIN_PASS_RATE.name]
    limits |= {each.name: limit for each in options.LIMITS if (limit := reading.value(layers, each)) is not None}
    paths = reading.value(layers, options.PATHS)
    skipped = paths is not None and skip(paths)
    return Gate(
        name=name,
        campaign=campaign,
        project=reading.value(layers, options.PROJECT) or "",
        traces=(() if skipped else _read_traces(reading, layers, find)) or ALL_SCENARIOS,
        mutation_pack=reading.value(layers, options.MUTATION_PACK) or "",
        limits=limits,
        required_mutation_categories=reading.value(layers, options.REQUIRED_MUTATION_CATEGORIES) or (),
        stage=reading.value(layers, options.ENFORCEMENT) or Stage.HARD,
        on_outage=reading.value(layers, options.ON_OUTAGE) or OnOutage.BLOCK,
        timeout_s=reading.value(layers, options.TIMEOUT) or options.DEFAULT_TIMEOUT_S,
        reviewers=reading.value(layers, options.REVIEWERS) or (),
        paths=paths,
        flaky=reading.value(layers, options.FLAKY) or (),
        skipped=skipped,
    )


def _read_traces(reading: "_Reading", layers: Sequence[Layer], find: TraceFinder) -> tuple[Trace, ...]:
    ids = reading.value(layers, options.TRACE_ID) or ()
    files = dict[Trace, None]()  # a dict, because globs overlap
    for pattern in reading.value(layers, options.TRACE_FILE) or ():
        try:
            files.update(dict.fromkeys(find(pattern)))
        except TraceFileError as error:
            for problem in error.args:
                reading.add(layers, options.TRACE_FILE, problem)
    if len(ids) + len(files) > parsers.MAX_TRACES:
        given = f"{len(files)} files{optional(' beside {} trace ids', len(ids))}"
        message = f"it names {given}; accepted: at most {parsers.MAX_TRACES} traces for one gate"
        reading.add(layers, options.TRACE_FILE, message)
    return *(Trace(label=trace_id, trace_id=trace_id) for trace_id in ids), *files


class _Reading:
    """Reads options from layers, of which the first one that gives an option applies, and collects every problem.

    `problems` has the row of the option for each, by which they are sorted; unknown names come last.
    """

    def __init__(self, layers: Sequence[Layer]) -> None:
        secrets = [layer.text(option) for layer in layers for option in OPTIONS if option.secret]
        # a report may split a secret with white space
        self._redact = Redactor(part for text in secrets for part in (text, *text.split()))
        self.problems: dict[Problem, int] = {}
        self.overridden: set[str] = set()
        for layer in layers:
            for spelling in map(json_reader.printable, layer.unknown):
                message = "it is no input; set it in the policy file"
                if spelling not in BY_NAME:
                    known = (name for option in options.INPUTS for name in option.names)
                    message = f"it is not known{parsers.did_you_mean(spelling, known)}"
                problem = Problem(layer.source.label(spelling), message).redacted(self._redact)
                self.problems.setdefault(problem, len(OPTIONS))

    def value(self, layers: Sequence[Layer], option: Option[T]) -> T | None:
        """Return the option's value from the first layer that has one; None if there is none or it is not accepted."""
        layer = _first_with(layers, option)
        if layer is None:
            return None
        text, given = layer.text(option), layer.given.get(option.name)
        below = (each.text(option) for each in layers if each.source is _BELOW.get(layer.source))
        if next(filter(None, below), text) != text:
            self.overridden.add(option.name)
        if given is None:
            return None
        if message := self._problem(option, given):
            self.add(layers, option, message)
            return None
        return cast("T", given.value)

    def add(self, layers: Sequence[Layer], option: Option[object], message: str) -> None:
        """Add a problem in an option to the layer that gives it, else to that of the policy file, or the first one."""
        layer, of_name = _first_with(layers, option), _first_with(layers, options.NAME)
        if layer is None or option.name not in layer.given:
            layer = next((each for each in layers if each.file), layers[0])
        problem = layer.problem(option, message)
        if option is options.CAMPAIGN and option.name not in layer.given and of_name and of_name.file:
            name = of_name.given[options.NAME.name]
            problem = Problem("", f"gate {json_reader.preview(name.text)} has no campaign", of_name.file, name.line)
        self.problems.setdefault(problem.redacted(self._redact), OPTIONS.index(option))  # any may quote a secret

    def _problem(self, option: Option[object], given: Given) -> str:
        """Return what is wrong with a value, and what is accepted; '' for one that is accepted."""
        if given.differing:
            listed = " and ".join(f"{name} ({self._shown(option, text)})" for name, text in given.differing)
            return f"{listed} are the same setting, but differ; set one of them"
        if given.hint is not None:
            # it may quote what redaction misses
            hint = given.hint if option.secret or self._redact(given.text) == given.text else ""
            return option.rejection(self._shown(option, given.text), hint)
        if option.secret or option is options.BASE_URL:  # no report shows these
            return ""
        values = map(str, given.value if isinstance(given.value, tuple) else (given.value,))
        if any(self._redact(each) != each for each in values):  # a report could show a form that redaction misses
            return "its value contains a secret, which reports would show; remove it"
        return ""

    def _shown(self, option: Option[object], text: str) -> str:
        """Return a value as an error message shows it, without secrets and URLs that may contain one."""
        hidden = option.secret or (option is options.BASE_URL and any(mark in text for mark in "@?#"))
        if hidden or LIKE_A_SECRET.match(text):
            return "the value"
        return json_reader.preview(self._redact(json_reader.printable(text)))


def _first_with(layers: Sequence[Layer], option: Option[object]) -> Layer | None:
    """Return the first layer that gives an option. One that names traces in one way counts for both ways."""
    names = _TRACES if option.name in _TRACES else {option.name}
    return next((layer for layer in layers if not names.isdisjoint(layer.given)), None)


def gate_plans(policy: Layer) -> Iterator[str]:
    """Yield what a policy means for each of its gates; raises ConfigurationError with what only a whole gate shows.

    What neither it nor a default sets is left to the inputs of the workflow.
    """
    inputs = {options.CAMPAIGN.name: OF_INPUT, options.TRACE_FILE.name: "*"}  # which the workflow may give
    settings = read_settings([options.input_layer(inputs)], lambda path: (Trace(label=path, content=b""),), policy)
    if settings.problems:
        raise ConfigurationError(settings.problems)
    for gate in settings.gates:
        limits = ", ".join(f"{name} {wording.decimal(limit)}" for name, limit in gate.limits.items())
        required = ", ".join(gate.required_mutation_categories)
        approvers = ", ".join(gate.reviewers) or "anyone with write access"
        parts = (
            f"campaign {gate.campaign}",
            limits,
            optional(f"{options.REQUIRED_MUTATION_CATEGORIES.name} {{}}", required),
            gate.stage,
            f"{approvers} can approve" if gate.stage is Stage.SOFT else "",
            "does not block if Sepurux is down" if gate.on_outage is OnOutage.ALLOW else "",
            optional("only for changes of {}", gate.paths),
            optional("flaky: {}", ", ".join(f"{name} until {day}" for name, day in gate.flaky)),
            f"waits {wording.duration(gate.timeout_s)} at most",
        )
        name = "a gate without a name" if gate.name == OF_INPUT else gate.name
        yield f"{name}: {joined('; ', *parts)}"


@dataclass(frozen=True, slots=True)
class Change:
    """One value that differs between two policies; a text is '' where the descriptions say null."""

    setting: Annotated[str, "Name of the setting; null for a gate as a whole, which one of the policies lacks."]
    old: Annotated[str, "Text on the base branch; null without one."]
    new: Annotated[str, "Text in the pull request; null without one."]
    gate: Annotated[str, "Name of the gate; null for the top level."] = ""


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
