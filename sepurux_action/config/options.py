"""The table of options. Tests hold `action.yml`, the command line, and the tables of the documents equal to it."""

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from enum import StrEnum
from functools import partial
from typing import Generic, cast

from sepurux_action.common.wording import joined, optional
from sepurux_action.config import kinds, path_filter
from sepurux_action.config.kinds import Kind, T_co
from sepurux_action.config.stage import STAGE, OnOutage


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
    """One option. `default` is the text that applies if nothing is given, '' for none; `default_note` is on it.

    It is an input of the action unless only the policy file has it, and a flag of the command line unless it is about
    GitHub. In `help` and `default_note`, names of options are in braces, for `in_workflow` and `on_command_line`.
    """

    name: str
    kind: Kind[T_co]
    help: str
    _: KW_ONLY
    environment: str = ""
    aliases: tuple[str, ...] = ()
    allowed_in: tuple[SectionKind, ...] = ()
    default: str = ""
    default_note: str = ""
    secret: bool = False
    is_input: bool = True
    actions_only: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name, *self.aliases)

    @property
    def default_value(self) -> T_co:
        return self.kind.parse(self.default)

    @property
    def default_shown(self) -> str:
        shown = joined(", ", optional("`{}`", self.default), self.default_note)
        if not shown and self.allowed_in == (SectionKind.THRESHOLDS,):
            return "not set"
        return shown


_of_gate = partial(Option, allowed_in=(SectionKind.TOP, SectionKind.GATE))
_secret = partial(Option, secret=True)
_threshold = partial(Option, allowed_in=(SectionKind.THRESHOLDS,))
_threshold_of_file = partial(_threshold, is_input=False)

TOKEN = _secret(
    "token",
    Kind(kinds.parse_secret, "a CI token", "SECRET"),
    "Sepurux CI token, sent as `X-Sepurux-Token`. Without {api_key}, it is also sent as `X-API-Key`.",
    environment="SEPURUX_CI_TOKEN",
)
API_KEY = _secret(
    "api_key",
    Kind(kinds.parse_secret, "a project API key", "SECRET"),
    "Sepurux project API key, sent as `X-API-Key`.",
    environment="SEPURUX_API_KEY",
)
BASE_URL = Option(
    "base_url",
    Kind(kinds.parse_base_url, "an https address (http on loopback only)", "URL"),
    "URL of the Sepurux API.",
    environment="SEPURUX_API_BASE_URL",
    default="https://app.sepurux.dev/api/backend",
)
PROJECT = _of_gate(
    "project",
    Kind(kinds.parse_line, "a project's name or UUID"),
    "Name or UUID of the Sepurux project, sent as `X-Project-Id`.",
    environment="SEPURUX_PROJECT_ID",
    aliases=("project_id",),
)
CAMPAIGN = _of_gate(
    "campaign",
    Kind(kinds.parse_line, "a campaign's name or UUID"),
    "Name or UUID of the campaign to evaluate. Required.",
    aliases=("campaign_id", "campaign_name"),
)
NAME = Option(
    "name",
    kinds.NAME,
    "Name of the gate in reports. If the policy file has `gates:`, it selects one of them.",
    allowed_in=(SectionKind.GATE,),
    default_note="the campaign as given",
)
TRACE_ID = _of_gate(
    "trace_id",
    kinds.TRACE_IDS,
    "IDs of traces to evaluate. Without {trace_id} and {trace_file}, the registered scenarios are evaluated.",
)
TRACE_FILE = _of_gate(
    "trace_file",
    Kind(kinds.parse_lines, "paths or globs, one per line", "FILES", is_list=True),
    "Trace files to upload and evaluate, in the workspace or the runner's temporary folder.",
)
MUTATION_PACK = _of_gate(
    "mutation_pack",
    Kind(kinds.parse_line, "a mutation pack's ID", "ID"),
    "ID of the mutation pack, which Sepurux uses for the CI run.",
    is_input=False,
)
MIN_PASS_RATE = _threshold(
    "min_pass_rate",
    Kind(kinds.parse_rate, "0 to 1, or 0% to 100%, such as `0.85` or `85%`", "RATE"),
    "Lowest pass rate allowed.",
    default="0.9",
    default_note="unless {min_reliability_score} is given",
)
MAX_UNSAFE = _threshold(
    "max_unsafe",
    kinds.WHOLE_NUMBER,
    "Highest number of unsafe attempts allowed.",
    default="0",
)
MAX_FAILURES = _threshold("max_failures", kinds.WHOLE_NUMBER, "Highest number of failures allowed.")
MIN_RELIABILITY_SCORE = _threshold(
    "min_reliability_score",
    kinds.SCORE,
    "Lowest reliability score allowed, from 0 to 100.",
    aliases=("min_reliability",),
)
MIN_MUTATION_CATEGORIES = _threshold_of_file(
    "min_mutation_categories", kinds.WHOLE_NUMBER, "Lowest number of covered mutation categories."
)
MIN_SCENARIOS = _threshold_of_file(
    "min_scenarios",
    Kind(kinds.parse_positive_number, "a whole number from 1 to 999,999,999", "N"),
    "Lowest number of scenarios in the evaluation. The gate compares it; Sepurux does not get it.",
)
MIN_SCENARIO_PASS_RATE = _threshold_of_file(
    "min_scenario_pass_rate",
    Kind(kinds.parse_rate, "0 to 1, or 0% to 100%, such as `0.2` or `20%`", "RATE"),
    "Lowest pass rate allowed for each scenario, for a gate that names traces. Sepurux does not get it.",
)
REQUIRED_MUTATION_CATEGORIES = _threshold_of_file(
    "required_mutation_categories",
    Kind(kinds.parse_names, "names, separated by commas or line breaks", "NAMES", is_list=True),
    "Mutation categories that the CI run must cover.",
)
MAX_PASS_RATE_DROP = _threshold_of_file(
    "max_pass_rate_drop",
    Kind(kinds.parse_rate, "0 to 1, or 0% to 100%, such as `0.05` or `5%`", "RATE"),
    "How far the pass rate may lie below the baseline, the median of the last results on the base branch that meet "
    "the other thresholds. On a command line, it needs {baseline_dir}.",
)
ENFORCEMENT = _of_gate(
    "enforcement",
    STAGE,
    "Stage of the gate: whether a failed evaluation is only reported, needs an approval, or blocks.",
    default="hard",
)
ON_OUTAGE = _of_gate(
    "on_outage",
    kinds.word_of(OnOutage),
    "Whether a gate blocks if Sepurux is down. Then it gives no response, or only HTTP 5xx, to the first call.",
    default="block",
    is_input=False,
)
REVIEWERS = _of_gate(
    "reviewers",
    Kind(kinds.parse_logins, "usernames, separated by commas or line breaks", is_list=True),
    "Who can approve a soft gate that failed.",
    default_note="anyone with write access",
    is_input=False,
    actions_only=True,
)
PATHS = Option(
    "paths",
    Kind(path_filter.parse_paths, "GitHub's filter patterns, one per line", is_list=True),
    "The gate is skipped if the pull request changes no matching file. On the top level, only without `gates:`.",
    allowed_in=(SectionKind.TOP, SectionKind.GATE),
    default_note="all files",
    is_input=False,
    actions_only=True,
)
FLAKY = Option(
    "flaky",
    Kind(kinds.parse_flaky, "scenarios with a last day, such as `refund: 2027-01-31`", "DAYS", is_map=True),
    "Scenarios that do not count until the end of a day in UTC, apart from their unsafe attempts.",
    allowed_in=(SectionKind.TOP, SectionKind.GATE),
    default_note="none",
    is_input=False,
)
TIMEOUT = _of_gate(
    "timeout",
    Kind(kinds.parse_duration, "seconds, or a duration such as `10m` or `1h30m`, up to a day", "TIME"),
    "How long to wait for the decision.",
    default="600",
)
GITHUB_TOKEN = _secret(
    "github_token",
    Kind(kinds.parse_secret, "a token for this repository", "SECRET"),
    "Token for the GitHub API. If it is set to an empty string, the gate does not use GitHub.",
    default_note="the job's own token",
    actions_only=True,
)
COMMENT = Option(
    "comment",
    kinds.word_of(CommentMode),
    "When to comment on the pull request. An existing comment is always updated, except with `never`.",
    default="always",
    allowed_in=(SectionKind.TOP,),
    actions_only=True,
)
BASELINE_DIR = Option(
    "baseline_dir",
    Kind(kinds.parse_line, "the path of a folder", "FOLDER"),
    "Folder that the workflow keeps between runs: the base branch's results by scenario. It is in the workspace or the "
    "runner's temporary folder.",
    default_note="no comparison by scenario",
)
REPORT_DIR = Option(
    "report_dir",
    Kind(kinds.parse_line, "the path of a folder", "FOLDER"),
    "Folder for the report files, in the workspace or the runner's temporary folder.",
    default_note="no files",
)

# All of the above, in their order.
OPTIONS: tuple[Option[object], ...] = tuple(each for each in [*vars().values()] if isinstance(each, Option))
INPUTS = tuple(option for option in OPTIONS if option.is_input)
BY_NAME = {spelling: option for option in OPTIONS for spelling in option.names}
_NUMBERS = (each for each in OPTIONS if each.allowed_in == (SectionKind.THRESHOLDS,) and not each.kind.is_list)
LIMITS = tuple(cast("Option[float]", option) for option in _NUMBERS)
OF_ONE_GATE = (PATHS, FLAKY)  # on the top level only without `gates:`
NEED_TRACES = (MIN_SCENARIO_PASS_RATE, FLAKY)  # for gates that name traces
OWN_LIMITS = {MAX_PASS_RATE_DROP.name, MIN_SCENARIOS.name, MIN_SCENARIO_PASS_RATE.name}  # that only the gate knows
SENT_LIMITS = {option.name for option in LIMITS} - OWN_LIMITS
DEFAULT_LIMITS: Mapping[str, float] = {option.name: option.default_value for option in LIMITS if option.default}
