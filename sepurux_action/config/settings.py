"""Owns turning given texts into Settings, all mistakes at once; never reads the environment or a file itself.

Source: contract, section 1: what a policy sets rules, then inputs, then the environment, then defaults.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import TypeVar

from sepurux_action.common import json_reader
from sepurux_action.common.secret import Redactor, Secret
from sepurux_action.config import options
from sepurux_action.config.gate import Gate, Thresholds, Trace
from sepurux_action.config.options import BY_SPELLING, OPTIONS, SEVERAL_GATES_KEY, CommentMode, Option
from sepurux_action.config.policy import Policy, Section
from sepurux_action.config.status_context import BASE, MAX_CONTEXT_LENGTH, status_context
from sepurux_action.errors import ConfigurationError, Problem, TraceFileError


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishOptions:
    """How the gate appears on GitHub: `status_context` is the prefix of the contexts, `key` the comment's.

    A status links to `run_url` where there is no dashboard to link to.
    """

    comment: CommentMode = options.COMMENT.default_value
    key: str
    status: bool = options.STATUS.default_value
    status_context: str = options.STATUS_CONTEXT.default
    run_url: str = ""


T = TypeVar("T")

MAX_TRACE_BYTES = 256 * 1024 * 1024  # of all files of one gate


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """Texts from one kind of place, by any spelling of the options. `label` names one: "input `timeout`".

    A layer that `rules` is a policy's: an input that it overrides is told.
    """

    texts: Mapping[str, str]
    label: Callable[[str], str]
    is_policy: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that a run is told. `poll_interval_s` is None for adaptive; secrets are None when absent or empty.

    `overridden` names the inputs that a policy overrides; `ignored` those that have no effect where a policy applies.
    """

    gates: tuple[Gate, ...]
    base_url: str = options.BASE_URL.default
    token: Secret | None = field(default=None, repr=False)
    api_key: Secret | None = field(default=None, repr=False)
    poll_interval_s: float | None = None
    github_token: Secret | None = field(default=None, repr=False)
    publish_options: PublishOptions = field(default_factory=lambda: PublishOptions(key=SEVERAL_GATES_KEY))
    pull_request: int | None = None
    overridden: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BootstrapSettings:
    """What is needed to read the policy, which in turn is needed to read everything else.

    `gates` and `manner` are what inputs alone say, for a status when nothing else can be read; `problems` are the
    mistakes in inputs and environment, to be told beside those of the policy.
    """

    github_token: Secret | None = field(default=None, repr=False)
    secret: Secret | None = field(default=None, repr=False)
    api_key: Secret | None = field(default=None, repr=False)
    config: str = options.CONFIG.default
    config_is_given: bool = False
    pull_request: int | None = None
    gates: tuple[str, ...] = ()
    publish_options: PublishOptions = field(default_factory=lambda: PublishOptions(key=SEVERAL_GATES_KEY))
    problems: tuple[Problem, ...] = ()


TraceFinder = Callable[[str], tuple[Trace, ...]]
"""Returns the traces that a path or glob names; raises BadTraceFile."""


def input_layer(texts: Mapping[str, str]) -> Layer:
    """Return the layer of a workflow's inputs."""
    return Layer(texts=texts, label=lambda spelling: f"input `{spelling}`")


def flag_layer(texts: Mapping[str, str]) -> Layer:
    """Return the layer of a command line's flags; it takes the place of the inputs."""
    return Layer(texts=texts, label=flag)


def environment_layer(environ: Mapping[str, str]) -> Layer:
    """Return the layer of environment variables, under the names of the option table."""
    texts = {option.name: environ.get(option.environment, "") for option in OPTIONS if option.environment}
    names = {option.name: option.environment for option in OPTIONS}
    return Layer(texts=texts, label=lambda spelling: f"environment variable {names[spelling]}")


def flag(spelling: str) -> str:
    """Return the command line's spelling of an option's name: `--min-pass-rate`."""
    return "--" + spelling.replace("_", "-")


def read_settings(
    layers: Iterable[Layer],
    find_traces: TraceFinder,
    policy: Policy | None = None,
    *,
    branch: str = "",
    today: date = date.min,
) -> Settings:
    """Return the settings of every gate; the first layer that gives a value rules, and a policy comes before all.

    `branch` and `today` (UTC) tell which of a policy's enforcement rules counts. Raises BadSettings with every mistake
    of every layer that was consulted.
    """
    layers = tuple(layers)
    ignored = [layer for layer in layers if policy and layer.texts.get(options.PATHS.name, "").strip()]
    layers = tuple(_without_paths(layer) if layer in ignored else layer for layer in layers)
    policy = policy or Policy(path="")
    step = OptionReader((_policy_layer(policy, policy.top), *layers))
    step.check_unknown()
    step.value(options.CONFIG)  # followed before; what is wrong with it must not pass for a file that is not there
    gates, readings = [], [step]
    for section in policy.gates or (None,):
        own = tuple(
            Layer(texts=texts, label=_policy_label(policy, section), is_policy=True)
            for texts in policy.layers(section, branch, today)
        )
        reading = OptionReader((*own, *layers))
        gates.append(replace(_read_gate(reading, find_traces), rules=policy.rules(section)))
        readings.append(reading)
    step.check_duplicate_names(gates)
    manner = _publish_options(step, gates[0].name if len(gates) == 1 else SEVERAL_GATES_KEY)
    contexts = [status_context(manner.status_context, gate.name, branch) for gate in gates]
    if (longest := max(map(len, contexts))) > MAX_CONTEXT_LENGTH:
        named = f"with the branch {json_reader.quoted(branch)} for `{BASE}`, a status context has {longest} characters"
        step.problem(options.STATUS_CONTEXT.name, f"{named}; accepted: at most {MAX_CONTEXT_LENGTH}")
    settings = Settings(
        gates=tuple(gates),
        base_url=step.value_or_default(options.BASE_URL),
        token=step.value(options.TOKEN),
        api_key=step.value(options.API_KEY),
        poll_interval_s=step.value(options.POLL_INTERVAL),
        github_token=step.value(options.GITHUB_TOKEN),
        publish_options=manner,
        pull_request=step.value(options.PR_NUMBER),
        overridden=tuple(sorted({name for reading in readings for name in reading.overridden})),
        ignored=tuple(layer.label(options.PATHS.name) for layer in ignored),
    )
    if problems := _in_order(readings):
        raise ConfigurationError(problems)
    return settings


def read_bootstrap_settings(layers: Iterable[Layer]) -> BootstrapSettings:
    """Return what has to be known before the policy can be read; mistakes are told when everything is read."""
    reading = OptionReader(tuple(layers))
    reading.check_unknown()
    for option in OPTIONS:
        reading.value(option)
    return BootstrapSettings(
        github_token=reading.value(options.GITHUB_TOKEN),
        secret=reading.value(options.TOKEN) or reading.value(options.API_KEY),
        api_key=reading.value(options.API_KEY),
        config=reading.value_or_default(options.CONFIG),
        config_is_given=reading.value(options.CONFIG) is not None,
        pull_request=reading.value(options.PR_NUMBER),
        gates=(name,) if (name := reading.value(options.NAME) or reading.value(options.CAMPAIGN)) else (),
        publish_options=_publish_options(reading, SEVERAL_GATES_KEY),
        problems=_in_order([reading]),
    )


def _without_paths(layer: Layer) -> Layer:
    """Return the layer without `paths`, with which a pull request could skip a gate of the policy."""
    return replace(layer, texts={name: text for name, text in layer.texts.items() if name != options.PATHS.name})


def _publish_options(reading: OptionReader, key: str) -> PublishOptions:
    return PublishOptions(
        comment=reading.value_or_default(options.COMMENT),
        key=reading.value(options.COMMENT_KEY) or key,
        status=reading.value_or_default(options.STATUS),
        status_context=reading.value_or_default(options.STATUS_CONTEXT),
    )


def _in_order(readings: Iterable[OptionReader]) -> tuple[Problem, ...]:
    """Return every mistake once, in the order of the option table, unknown spellings last."""
    order = [option.name for option in OPTIONS]
    noted = [(name, problem) for reading in readings for name, problem in reading.problems()]
    noted.sort(key=lambda each: order.index(each[0]) if each[0] in order else len(order))
    return tuple(dict.fromkeys(problem for _, problem in noted))


def _read_gate(reading: OptionReader, find_traces: TraceFinder) -> Gate:
    campaign = reading.value(options.CAMPAIGN)
    if campaign is None and not reading.problems_of(options.CAMPAIGN):
        reading.problem(options.CAMPAIGN.name, f"it is required; accepted: {options.CAMPAIGN.accepts}")
    score = reading.value(options.MIN_RELIABILITY_SCORE)
    return Gate(
        name=reading.value(options.NAME) or (campaign or "")[: options.MAX_NAME_LENGTH],
        campaign=campaign or "",
        project=reading.value(options.PROJECT) or "",
        traces=tuple(_traces(reading, find_traces)) or Gate(name="", campaign="").traces,
        mutation_pack=reading.value(options.MUTATION_PACK) or "",
        thresholds=Thresholds(
            min_pass_rate=reading.value_or_default(options.MIN_PASS_RATE)
            if score is None
            else reading.value(options.MIN_PASS_RATE),
            max_unsafe=reading.value_or_default(options.MAX_UNSAFE),
            max_failures=reading.value(options.MAX_FAILURES),
            min_reliability_score=score,
            min_mutation_categories=reading.value(options.MIN_MUTATION_CATEGORIES),
            required_mutation_categories=reading.value(options.REQUIRED_MUTATION_CATEGORIES) or (),
        ),
        stage=reading.value_or_default(options.ENFORCEMENT),
        on_undecided=reading.value_or_default(options.ON_UNDECIDED),
        timeout_s=reading.value_or_default(options.TIMEOUT),
        reviewers=reading.value(options.REVIEWERS) or (),
        paths=reading.value(options.PATHS),
    )


def _policy_layer(policy: Policy, section: Section) -> Layer:
    texts = {name: given.text for name, given in section.texts.items()}
    return Layer(texts=texts, label=_policy_label(policy, section), is_policy=True)


def _policy_label(policy: Policy, section: Section | None) -> Callable[[str], str]:
    def label(spelling: str) -> str:
        given = (section and section.texts.get(spelling)) or policy.top.texts.get(spelling)
        line = given.line if given else section.line if section else 1
        return f"{policy.path}:{line}, `{spelling}`"

    return label


def _traces(reading: OptionReader, find: TraceFinder) -> Iterator[Trace]:
    ids = reading.value(options.TRACE_ID) or ()
    for trace_id in ids:
        if json_reader.identifier(trace_id):
            yield Trace(label=trace_id, trace_id=trace_id)
        else:
            reading.problem(options.TRACE_ID.name, f"{reading.shown(options.TRACE_ID, trace_id)} is no trace id")
    found: dict[Trace, None] = {}  # globs overlap
    for pattern in reading.value(options.TRACE_FILE) or ():
        try:
            found.update(dict.fromkeys(find(pattern)))
        except TraceFileError as bad:
            reading.problem(options.TRACE_FILE.name, str(bad))
    size = sum(trace.content.size for trace in found if trace.content)
    if size > MAX_TRACE_BYTES:
        many = f"its files have {size // 2**20} MiB together"
        reading.problem(
            options.TRACE_FILE.name, f"{many}; accepted: at most {MAX_TRACE_BYTES // 2**20} MiB of one gate"
        )
    if len(ids) + len(found) > options.MAX_TRACES:
        given = f"{len(found)} files" + (f" beside {len(ids)} trace ids" if ids else "")
        reading.problem(
            options.TRACE_FILE.name, f"it names {given}; accepted: at most {options.MAX_TRACES} traces of one gate"
        )
    yield from found


class OptionReader:
    """Reads options from layers and collects what is wrong with them, once each."""

    def __init__(self, layers: tuple[Layer, ...]) -> None:
        self._layers = layers
        secrets = [option.name for option in OPTIONS if option.secret]
        given = [layer.texts.get(name, "").strip() for layer in layers for name in secrets]
        self._blank = Redactor(part for text in given for part in (text, *text.split()))  # a broken one has pieces
        self._problems: dict[str, list[Problem]] = {}
        self.overridden: set[str] = set()

    def value_or_default(self, option: Option[T]) -> T:
        """Return the option's value, or its default if no layer gives a value that is accepted."""
        value = self.value(option)
        return option.default_value if value is None else value

    def value(self, option: Option[T]) -> T | None:
        """Return the option's value from the first layer that gives one; None if it is not accepted."""
        for layer in self._layers:
            given = {s: layer.texts[s].strip() for s in option.names if layer.texts.get(s, "").strip()}
            if not given:
                continue
            spelling, text = next(iter(given.items()))
            if layer.is_policy and self._input(option) not in {"", text}:
                self.overridden.add(option.name)
            if len(set(given.values())) > 1:
                listed = " and ".join(f"`{each}` ({self.shown(option, given[each])})" for each in given)
                self.problem(option.name, f"{listed} are one setting and differ; give one of them", layer=layer)
                return None
            try:
                value = option.parse(text)
            except ValueError as refusal:
                self._refuse(option, layer, spelling, text, refusal)
                return None
            if self._holds_a_secret(option, value):
                self.problem(option.name, "it holds a secret, and reports would show it; take that out", layer=layer)
                return None
            return value
        return None

    def _holds_a_secret(self, option: Option[T], value: T) -> bool:
        """Return whether reports would show a secret, in forms that blanking would not know; addresses they do not."""
        texts = map(str, value if isinstance(value, tuple) else (value,))
        exempt = option.secret or option is options.BASE_URL
        return not exempt and any(self._blank(text) != text for text in texts)

    def _input(self, option: Option[object]) -> str:
        """Return what the inputs, or the flags, give to an option."""
        inputs = next(layer for layer in self._layers if not layer.is_policy)
        return next(filter(None, (inputs.texts.get(spelling, "").strip() for spelling in option.names)), "")

    def check_duplicate_names(self, gates: Iterable[Gate]) -> None:
        """Note each name that more than one gate has, without regard to case."""
        counted = Counter(gate.name.casefold() for gate in gates if gate.name)
        for name, times in counted.items():
            if times > 1:
                shown = json_reader.quoted(self._blank(name))
                self.problem(options.NAME.name, f"{times} gates are named {shown}; give each a `name` of its own")

    def check_unknown(self) -> None:
        """Note every spelling that no option has."""
        for layer in self._layers:
            for spelling in layer.texts:
                if spelling not in BY_SPELLING:
                    shown = json_reader.printable(spelling)
                    self._note(
                        spelling,
                        Problem(
                            where=layer.label(shown),
                            message=f"it is not known{options.did_you_mean(shown, BY_SPELLING)}",
                        ),
                    )

    def problem(self, name: str, message: str, *, layer: Layer | None = None) -> None:
        """Note a mistake in an option, at the place that gives it (the first place there is, when none does)."""
        giving = [each for each in self._layers if any(each.texts.get(s, "").strip() for s in BY_SPELLING[name].names)]
        place = layer or (giving or [each for each in self._layers if not each.is_policy])[0]
        self._note(name, Problem(where=place.label(name), message=message))

    def problems_of(self, option: Option[object]) -> list[Problem]:
        """Return the mistakes noted for one option."""
        return self._problems.get(option.name, [])

    def problems(self) -> Iterator[tuple[str, Problem]]:
        """Yield every mistake with the option's name, or the spelling that nobody knows."""
        for name, noted in self._problems.items():
            yield from ((name, problem) for problem in noted)

    def shown(self, option: Option[object], text: str) -> str:
        """Return a value for an error text; none that is a secret, or an address with a user part or query in it."""
        hidden = option.secret or (option is options.BASE_URL and any(mark in text for mark in "@?#"))
        return "the value" if hidden else json_reader.quoted(self._blank(text))

    def _refuse(self, option: Option[T], layer: Layer, spelling: str, text: str, refusal: ValueError) -> None:
        shown = self.shown(option, text)
        quotes_none = option.secret or self._blank(text) == text  # a hint may quote a part, which blanking misses
        hint = f" ({refusal})" if str(refusal) and quotes_none else ""
        message = f"{shown} is not accepted{hint}; accepted: {option.accepts}"
        self._note(option.name, Problem(where=layer.label(spelling), message=message))

    def _note(self, name: str, problem: Problem) -> None:
        # A secret may have been given to the wrong setting.
        problem = replace(problem, where=self._blank(problem.where), message=self._blank(problem.message))
        noted = self._problems.setdefault(name, [])
        if problem not in noted:
            noted.append(problem)
