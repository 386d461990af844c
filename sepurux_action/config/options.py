"""The table of options, and what each source gives to them. Tests hold documents and `action.yml` equal to it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from functools import partial
from typing import Generic, NamedTuple, TypeVar, cast

from sepurux_action.common.wording import joined, optional
from sepurux_action.config import parsers
from sepurux_action.errors import Problem

T_co = TypeVar("T_co", covariant=True)


class Stage(StrEnum):
    OBSERVE = "observe"
    SOFT = "soft"
    HARD = "hard"


class OnOutage(StrEnum):
    BLOCK = "block"
    ALLOW = "allow"


class CommentMode(StrEnum):
    ALWAYS = "always"
    ON_FAILURE = "on_failure"
    NEVER = "never"


class SectionKind(StrEnum):
    """A kind of sections of the policy file, by where a key in it belongs."""

    TOP = "on the file's top level"
    GATE = "in a gate, under `gates:`"
    THRESHOLDS = "under `thresholds:`"


@dataclass(frozen=True, slots=True)
class Option(Generic[T_co]):
    """One option. `accepts` follows "must be ". Without a `placeholder`, it is no flag of the command line.

    `default` is the text that applies if nothing is given, '' for none; `default_note` is on it. In `help` and
    `default_note`, names of options and `{place}` are parameters for `in_workflow` and `on_command_line`. The policy
    file may have a list for the `form` `list`, and needs a mapping for `dict`; their texts have a line for each entry.
    """

    name: str
    help: str
    accepts: str
    parse: Callable[[str], T_co]
    placeholder: str = ""
    form: type[object] = str
    environment: str = ""
    aliases: tuple[str, ...] = ()
    allowed_in: tuple[SectionKind, ...] = ()
    default: str = ""
    default_note: str = ""
    is_input: bool = True

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name, *self.aliases)

    @property
    def default_shown(self) -> str:
        shown = joined(", ", optional("`{}`", self.default), self.default_note)
        if not shown and self.allowed_in == (SectionKind.THRESHOLDS,):
            return "not set"
        return shown

    def read(self, text: str) -> T_co:
        """Return the value of a text; raises ValueError for other texts, also with an invisible character or `${{`."""
        if "${{" in text:
            raise ValueError("it holds `${{`, which only a workflow replaces")
        for position, character in enumerate(text, start=1):
            if not (character.isprintable() or character in "\t\r\n"):
                raise ValueError(f"it has the invisible character U+{ord(character):04X} at position {position}")
        return self.parse(text)

    def rejection(self, shown: str, hint: str) -> str:
        """Return what is wrong with a value; without `shown`, it stays secret."""
        return joined("; ", joined(", not ", f"must be {self.accepts}", shown), hint)


_secret = partial(Option, parse=parsers.parse_secret, placeholder="SECRET")
_folder = partial(Option, accepts="the path of a folder", parse=parsers.parse_line, placeholder="FOLDER")
_of_gate = partial(Option, allowed_in=(SectionKind.TOP, SectionKind.GATE))
_line = partial(_of_gate, parse=parsers.parse_line, placeholder="NAME")
_of_file = partial(_of_gate, is_input=False)
_threshold = partial(Option, allowed_in=(SectionKind.THRESHOLDS,))
_count = partial(
    _threshold, accepts="a whole number from 0 to 999,999,999", parse=parsers.parse_whole_number, placeholder="N"
)
_rate = partial(
    _threshold, accepts="0 to 1, or 0% to 100%, such as `0.85` or `85%`", parse=parsers.parse_rate, placeholder="RATE"
)

TOKEN = _secret(
    "token",
    "Sepurux CI token, sent as `X-Sepurux-Token`, and without {api_key} as `X-API-Key` too.",
    "a CI token",
    environment="SEPURUX_CI_TOKEN",
)
API_KEY = _secret(
    "api_key", "Sepurux project API key, sent as `X-API-Key`.", "a project API key", environment="SEPURUX_API_KEY"
)
BASE_URL = Option(
    "base_url",
    "URL of the Sepurux API.",
    "an https address (http on loopback only)",
    parsers.parse_base_url,
    "URL",
    environment="SEPURUX_API_BASE_URL",
    default="https://app.sepurux.dev/api/backend",
)
PROJECT = _line(
    "project",
    "Name or UUID of the Sepurux project, sent as `X-Project-Id`.",
    "a project's name or UUID",
    environment="SEPURUX_PROJECT_ID",
    aliases=("project_id",),
)
CAMPAIGN = _line(
    "campaign",
    "Name or UUID of the campaign to evaluate. Required.",
    "a campaign's name or UUID",
    aliases=("campaign_id", "campaign_name"),
)
NAME = Option(
    "name",
    "Name of the gate. If the policy file has `gates:`, it selects one of them.",
    f"1 to {parsers.MAX_NAME_LENGTH} characters on one line, the last one no `)`",
    parsers.parse_name,
    "NAME",
    allowed_in=(SectionKind.GATE,),
    default_note="the campaign as given",
)
TRACE_ID = _of_gate(
    "trace_id",
    "IDs of stored traces to evaluate. Without {trace_id} and {trace_file}: the campaign's registered scenarios.",
    f"trace IDs, separated by commas or line breaks, at most {parsers.MAX_TRACES}",
    parsers.parse_trace_ids,
    "IDS",
    list,
)
TRACE_FILE = _of_gate(
    "trace_file",
    "Trace files to evaluate, in {place}.",
    "paths or globs, one per line",
    parsers.parse_lines,
    "FILES",
    list,
)
MUTATION_PACK = _line(
    "mutation_pack",
    "ID of a mutation pack of Sepurux.",
    "a mutation pack's ID",
    placeholder="ID",
    is_input=False,
)
MIN_PASS_RATE = _rate(
    "min_pass_rate",
    "Lowest pass rate allowed.",
    default="0.9",
    default_note="unless {min_reliability_score} is given",
)
MAX_UNSAFE = _count("max_unsafe", "Highest number of unsafe attempts allowed.", default="0")
MAX_FAILURES = _count("max_failures", "Highest number of failures allowed.")
MIN_RELIABILITY_SCORE = _threshold(
    "min_reliability_score",
    "Lowest reliability score allowed, from 0 to 100.",
    "0, or a number from 1 to 100",
    parsers.parse_score,
    "SCORE",
    aliases=("min_reliability",),
)
MIN_MUTATION_CATEGORIES = _count(
    "min_mutation_categories", "Lowest number of covered mutation categories.", is_input=False
)
MIN_SCENARIOS = _threshold(
    "min_scenarios",
    "Lowest number of scenarios.",
    "a whole number from 1 to 999,999,999",
    parsers.parse_positive_number,
    "N",
    is_input=False,
)
MIN_SCENARIO_PASS_RATE = _rate(
    "min_scenario_pass_rate",
    "Lowest pass rate allowed for each scenario, for a gate with traces.",
    is_input=False,
)
REQUIRED_MUTATION_CATEGORIES = _threshold(
    "required_mutation_categories",
    "Mutation categories that must be covered.",
    "names, separated by commas or line breaks",
    parsers.parse_names,
    "NAMES",
    list,
    is_input=False,
)
MAX_PASS_RATE_DROP = _rate(
    "max_pass_rate_drop",
    "How far the pass rate may lie below the last results of the base branch. On a command line, it needs "
    "{baseline_dir}.",
    is_input=False,
)
ENFORCEMENT = _of_gate(
    "enforcement",
    "Whether a gate that failed only reports it, needs an approval, or blocks.",
    "`observe`, `soft` or `hard`",
    partial(parsers.parse_word, Stage),
    "STAGE",
    default="hard",
)
ON_OUTAGE = _of_file(
    "on_outage",
    "Whether a gate blocks if its first call gets no HTTP response (status line and headers), or only 5xx.",
    "`block` or `allow`",
    partial(parsers.parse_word, OnOutage),
    default="block",
)
REVIEWERS = _of_file(
    "reviewers",
    "Who can approve a soft gate that failed.",
    "usernames, separated by commas or line breaks",
    parsers.parse_logins,
    form=list,
    default_note="anyone with write access",
)
PATHS = _of_file(
    "paths",
    "The gate is skipped if the pull request changes no matching file.",
    "GitHub's filter patterns, one per line",
    parsers.parse_paths,
    form=list,
    default_note="all files",
)
FLAKY = _of_file(
    "flaky",
    "Scenarios of which only unsafe attempts count, until the end of a day in UTC.",
    "scenarios with a last day, such as `refund: 2027-01-31`",
    parsers.parse_flaky,
    form=dict,
    default_note="none",
)
TIMEOUT = _of_gate(
    "timeout",
    "How long to wait for the decision.",
    "seconds, or a duration such as `10m` or `1h30m`, up to a day",
    parsers.parse_duration,
    "TIME",
    default="600",
)
GITHUB_TOKEN = _secret(
    "github_token",
    "Token for the GitHub API. With an empty text, the gate does not use GitHub.",
    "a token for this repository",
    placeholder="",
    default_note="the job's own token",
)
COMMENT = Option(
    "comment",
    "When to comment on the pull request. An existing comment is updated, except with `never`.",
    "`always`, `on_failure` or `never`",
    partial(parsers.parse_word, CommentMode),
    default="always",
    allowed_in=(SectionKind.TOP,),
)
BASELINE_DIR = _folder(
    "baseline_dir",
    "Folder with earlier results by scenario, which the evaluation is compared with.",
    default_note="no comparison",
)
REPORT_DIR = _folder(
    "report_dir",
    "Folder for the report files, in {place}.",
    default_note="no files",
)

OPTIONS: tuple[Option[object], ...] = tuple(each for each in [*vars().values()] if isinstance(each, Option))
SECRETS = tuple(option for option in OPTIONS if option.parse is parsers.parse_secret)
INPUTS = tuple(option for option in OPTIONS if option.is_input)
BY_NAME = {spelling: option for option in OPTIONS for spelling in option.names}
_NUMBERS = (each for each in OPTIONS if each.allowed_in == (SectionKind.THRESHOLDS,) and each.form is str)
LIMITS = tuple(cast("Option[float]", option) for option in _NUMBERS)
DEFAULT_LIMITS: Mapping[str, float] = {option.name: option.parse(option.default) for option in LIMITS if option.default}
DEFAULT_TIMEOUT_S: float = TIMEOUT.parse(TIMEOUT.default)


class Source(IntEnum):
    """What gives values to options, in the order in which it applies."""

    FLAGS = 1
    POLICY = 2
    INPUTS = 3
    ENVIRONMENT = 4

    def label(self, spelling: str) -> str:
        if self is Source.FLAGS:
            return flag(spelling)
        if self is Source.ENVIRONMENT:
            return f"environment variable {BY_NAME[spelling].environment}"
        return f"input `{spelling}`" if self is Source.INPUTS else f"`{spelling}`"


def flag(spelling: str) -> str:
    return "--" + spelling.replace("_", "-")


class Given(NamedTuple):
    """What one source gives to an option: the text, where it stands as in `Problem`, and the value.

    An invalid text has a `hint` at the problem, which may be '', and no value. A list's text has a line for each entry.
    """

    text: str
    where: str
    line: int = 0
    value: object = None
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class Layer:
    """The options that one source gives, by their names.

    Of a policy file, it has the `file`, and the layers of its `gates`, which override it; each begins in a `line`, and
    `where` begins the problems in it. Without `gates`, the file and the inputs describe the only gate.
    """

    source: Source
    given: Mapping[str, Given] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()
    file: str = ""
    line: int = 0
    where: str = ""
    gates: "tuple[Layer, ...]" = ()

    def text(self, option: Option[object]) -> str:
        given = self.given.get(option.name)
        return given.text if given else ""

    def name_of(self, gate: "Layer") -> str:
        """Return the name of one of the gates, or else its campaign's; '' if the file has neither."""
        return gate.text(NAME) or gate.text(CAMPAIGN) or self.text(CAMPAIGN)

    def problem(self, option: Option[object], message: str) -> Problem:
        """Return a problem in an option, where the source gives it or would give it."""
        if given := self.given.get(option.name):
            return Problem(given.where, message, self.file, given.line)
        return Problem(self.where + self.source.label(option.name), message, self.file, self.line)


def _layer(source: Source, accepted: Sequence[Option[object]], texts: Mapping[str, str]) -> Layer:
    given = dict[str, Given]()
    for option in accepted:
        spelled = {name: text for name in option.names if (text := texts.get(name, "").strip())}
        if not spelled:
            continue
        (first, text), *others = spelled.items()
        found = Given(text, source.label(first))
        try:
            given[option.name] = found._replace(value=option.read(text))
        except ValueError as error:
            given[option.name] = found._replace(hint=str(error))
        for other, different in others:
            if different != text:
                given[option.name] = found._replace(hint=f"{source.label(other)} is the same setting, and differs")
    known = {name for option in accepted for name in option.names}
    return Layer(source, given, tuple(name for name in texts if name not in known))


input_layer = partial(_layer, Source.INPUTS, INPUTS)
flag_layer = partial(_layer, Source.FLAGS, OPTIONS)


def environment_layer(environ: Mapping[str, str]) -> Layer:
    named = [option for option in OPTIONS if option.environment]
    return _layer(Source.ENVIRONMENT, named, {option.name: environ.get(option.environment, "") for option in named})
