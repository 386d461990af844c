"""What a run must do in a world: the rules of docs/reference.md, policy.md, and security.md, in every detail.

This module shares no code with the package. Each function names the part of the documents that it follows.
"""

import math
import operator
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from fractions import Fraction
from statistics import median_low
from typing import Any

from tests.worlds.worlds import ABSENT, AGENT, CONTEXT, FILES, MERGED, PULL_EVENTS, TODAY, Published, Pull, Run, World

NO_RESPONSE = {"500", "503", "reset", "refused"}  # or only server errors
BASE_FAULTS = {"base", "limit"}  # the results of the base branch cannot be read
WORST_FIRST = ("fail", "error", "pending", "pass", "skipped")
NUMBERS = ("pass_rate", "unsafe_attempts", "failures", "reliability_score")
TRACES = ("trace_id", "trace_file")
FIRST_FILE_EVENTS = ("pull_request", "pull_request_review")
DEFAULT_BRANCH = "main"
FEWEST_RESULTS = 3  # of the base branch, to compare a drop with
ROWS: Mapping[str, tuple[str, Callable[[Any, Any], bool]]] = {  # the number that a threshold reads, and what it needs
    "min_pass_rate": ("pass_rate", operator.ge),
    "max_unsafe": ("unsafe_attempts", operator.le),
    "max_failures": ("failures", operator.le),
    "min_reliability_score": ("reliability_score", operator.ge),
    "min_scenarios": ("scenarios", operator.ge),
    "min_scenario_pass_rate": ("lowest", operator.ge),
    "min_mutation_categories": ("categories", lambda names, limit: len(set(names)) >= limit),
    "required_mutation_categories": ("categories", lambda names, required: {*map(shown, required)} <= set(names)),
}
DROP = "max_pass_rate_drop"
READ_BY = {name: row[0] for name, row in ROWS.items()}
NEEDED = ("min_pass_rate", "max_unsafe", "max_failures", "min_scenarios", "min_scenario_pass_rate")
SINKING = ("unsafe_attempts", "failures", "lowest")  # what a further run can only make worse
SUMS = ("max_unsafe", "max_failures")
SUMMED = ("unsafe_attempts", "failures")
MOST_CATEGORIES = 100  # a longer list is cut, and not reported
BROKEN = "broken"  # in place of a reported value that is not usable


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What a run must do. `statuses` are the last ones of the commit; of other numbers nothing is said."""

    decision: str
    statuses: Mapping[str, str]
    exit_status: int = 0
    conclusion: str = "success"
    enforcement: str = ""
    comments: int = 0
    numbers: Mapping[str, float | None] = field(default_factory=dict)
    scenarios: Sequence[float] | None = None  # their number at the end of the status, empty if it is unknown
    started: int | None = None  # CI runs; None: nothing is said
    sent: Mapping[str, Any] | None = None  # the thresholds of a start; None: nothing is said


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What the run is about. `unknown`: which policy applies is not known."""

    pull: Pull | None = None
    branch: str = DEFAULT_BRANCH
    policy_of: str = "head"
    unknown: bool = False
    skipped: bool = False


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """The decision on one run of the gate, and its numbers.

    `scenario` differs for each scenario, and is None for a batch.
    """

    decision: str
    scenario: object = None
    flaky: bool = False  # only its unsafe attempts count
    numbers: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Together:
    """The numbers of all runs. `known` has those that all runs report, `partly` those that only some of them do."""

    known: Mapping[str, Any]
    partly: Mapping[str, Any]
    broken: Sequence[str]  # reported, but by no run as a number
    rates: Sequence[Any]  # of the scenarios, None for an unknown one
    count: Any  # of the scenarios
    several: bool = False  # traces


def expected(world: World) -> Expected:
    """Return what the documents say about a world: of two runs, about the last one."""
    first = of_one_run(replace(world, rerun=False))
    if not world.rerun:
        return first
    subject = find_subject(world)
    later = of_one_run(replace(world, runs=world.again, rerun=False))
    # The statuses of a commit decide if it is evaluated, by docs/policy.md, A failure stays.
    recorded = subject.pull is not None and world.github_fault != "statuses" and first.decision == "fail"
    if recorded:
        return replace(first, started=0, sent=None, numbers={})  # which the status has with fewer digits
    return replace(later, comments=max(first.comments, later.comments))  # an existing comment is updated


def of_one_run(world: World) -> Expected:
    subject = find_subject(world)
    if world.deleted or subject.skipped:
        return Expected(decision="skipped", statuses=statuses(world, {}))
    settings = effective_settings(world, subject)
    if settings is None:
        return Expected(exit_status=2, decision="error", conclusion="failure", statuses=statuses(world, {}))
    if world.event == "pull_request_review":
        return of_a_review(world, subject, settings)
    stage = stage_of(settings, subject)
    failed_at = failed_call(world, settings)
    skipped, unread = is_skipped(world, subject, settings), False
    runs = [] if skipped else evaluate(world, world.runs, settings, failed_at)
    together = of_all(runs)
    decision = decide(world, settings, runs, together)
    signaled = world.signal and bool(runs) and failed_at in {"", "poll"}  # it arrives with the first poll
    if signaled:
        decision = "error"
    numbers, count = shown_numbers(runs, together), shown_scenarios(runs, together)
    starts_alike = bool(runs) and not any(run.flaky for run in runs)
    approved = decision == "fail" and stage == "soft" and is_approved(world, settings)
    if decision == "fail":
        blocks = stage == "hard" or (stage == "soft" and not approved)
    else:
        allowed = settings.get("on_outage") == "allow" and is_outage(world, failed_at) and not unread
        blocks = decision in {"error", "pending"} and stage != "observe" and not allowed
    waits = decision == "fail" and stage == "soft" and world.event != MERGED
    state = ("pending" if waits else "failure") if blocks else "pending" if signaled else "success"
    exit_status = (1 if decision == "fail" else 2) if blocks else 0
    return Expected(
        exit_status=143 if signaled else exit_status,
        decision=decision,
        conclusion="failure" if blocks else "success",
        enforcement=stage,
        statuses=statuses(world, {context(subject): state}),
        comments=0 if signaled else comments(world, subject, settings, decision),
        numbers={} if signaled else numbers,
        scenarios=None if signaled or world.github_fault == "statuses" else count,
        started=None if failed_at or signaled else len(runs),
        sent=sent(settings, len(runs)) if starts_alike and not failed_at and not signaled else None,
    )


def of_a_review(world: World, subject: Subject, settings: Mapping[str, Any]) -> Expected:
    """Return what a review does, by docs/policy.md, A failure stays: the newest decision, here a pass, stays."""
    decision, has_status = "skipped", context(subject) in world.older_statuses
    numbers: Mapping[str, float | None] = {}
    if has_status:
        decision, numbers = "pass", {"pass_rate": 0.91, "unsafe_attempts": 0, "failures": 2, "reliability_score": 88}
    unread = world.github_fault == "statuses"
    stage = stage_of(settings, subject)
    blocks = unread and stage != "observe"
    return Expected(
        decision="error" if unread else decision,
        exit_status=2 if blocks else 0,
        conclusion="failure" if blocks else "success",
        statuses=dict.fromkeys(world.older_statuses, "success"),
        numbers={} if unread else numbers,
        started=0,
    )


def context(subject: Subject) -> str:
    """Return the context of the gate's status. No branch of a world has a name that would be encoded."""
    return CONTEXT if subject.branch == DEFAULT_BRANCH else f"{CONTEXT} ({subject.branch})"


# --- docs/reference.md, Events ---------------------------------------------------------------------------------------


def find_subject(world: World) -> Subject:
    """Return the pull request of the run, and whose policy file applies."""
    if world.event in PULL_EVENTS and world.stale_base:  # the base that the event names
        return of_pull(replace(world.pulls[0], base=world.stale_base))
    if world.event in PULL_EVENTS or world.event == MERGED:
        return of_pull(world.pulls[0])
    if world.event != "workflow_run" or world.cause == "push":
        return Subject(branch=world.branch if world.event in {"push", "workflow_dispatch"} else DEFAULT_BRANCH)
    found = [pull for pull in world.pulls if pull.fork == world.pulls[0].fork and not pull.closed]
    if world.github_fault == "pulls" or len(found) > 1:
        return Subject(unknown=True)
    return of_pull(found[0]) if found else Subject(skipped=True)


def of_pull(pull: Pull) -> Subject:
    return Subject(pull=pull, branch=pull.base, policy_of=pull.base)


# --- docs/policy.md, Whose file applies ------------------------------------------------------------------------------


def effective_settings(world: World, subject: Subject) -> Mapping[str, Any] | None:
    """Return the settings, or None if they are invalid or not known."""
    policy, head = world.policies[subject.policy_of], world.policies["head"]
    is_first = policy is None and world.event in FIRST_FILE_EVENTS and "campaign" not in world.inputs
    if is_first and subject.pull and not subject.pull.fork:
        policy = head
    unread = subject.unknown or world.github_fault == "graphql" or "trace_fil" in world.inputs
    proposes = subject.pull is not None and head != policy and changes_policy(world)
    if unread or is_invalid(world, subject, policy) or (proposes and is_invalid(world, subject, head)):
        return None
    if reads_twice(world, subject, policy) or (proposes and head is not None and reads_twice(world, subject, head)):
        return None
    return settings_with(world, policy) if {"campaign"} & {*world.inputs, *(policy or ())} else None


def settings_with(world: World, policy: Mapping[str, Any] | None) -> Mapping[str, Any]:
    names_traces = any(name in (policy or ()) for name in TRACES)  # in one way, which counts for both
    left_out = TRACES if names_traces else ()
    return {**{name: value for name, value in world.inputs.items() if name not in left_out}, **(policy or {})}


def changes_policy(world: World) -> bool:
    """Return whether the pull request or merge group changes the policy file, if the head has another one."""
    return not world.behind or world.event == MERGED or world.github_fault == "files"


def is_invalid(world: World, subject: Subject, policy: Mapping[str, Any] | None) -> bool:
    """Return whether a file has an unknown key, or with the inputs a bad trace file, no campaign, or no trace.

    No one looks for the trace files of a gate that is skipped, or after a review.
    """
    if policy is None:
        return False
    together = {**world.inputs, **policy}
    no_one_looks = world.event == "pull_request_review" or is_skipped(world, subject, policy)
    absent = ABSENT in policy.get("trace_file", ()) and not no_one_looks
    return "bogus" in policy or absent or "campaign" not in together or lacks_traces(together)


def reads_twice(world: World, subject: Subject, policy: Mapping[str, Any] | None) -> bool:
    """Return whether a trace file that is read has a name twice in an object."""
    settings = settings_with(world, policy)
    no_one_looks = world.event == "pull_request_review" or is_skipped(world, subject, settings)
    return not no_one_looks and any(world.says.get(each) == "twice" for each in settings.get("trace_file", ()))


def lacks_traces(settings: Mapping[str, Any]) -> bool:
    return bool(settings.keys() & {"min_scenario_pass_rate", "flaky"}) and not settings.keys() & {*TRACES}


def statuses(world: World, decided: Mapping[str, str]) -> Mapping[str, str]:
    older = dict.fromkeys(world.older_statuses, "success")
    return older if world.github_fault == "statuses" else {**older, **decided}


def is_skipped(world: World, subject: Subject, settings: Mapping[str, Any]) -> bool:
    """Return whether no changed file matches, by docs/policy.md, Several gates."""
    patterns = settings.get("paths")
    if not patterns or subject.pull is None or world.event == MERGED or world.github_fault == "files":
        return False
    matching = [name for name in world.files if name.startswith("agents/")]
    return not matching if len(patterns) == 1 else True


def comments(world: World, subject: Subject, settings: Mapping[str, Any], decision: str) -> int:
    """Return how many comments there are, by docs/reference.md, Statuses and comments."""
    mode = settings.get("comment", "always")
    if subject.pull is None or world.event == MERGED or world.github_fault == "comments":
        return 0
    return int(mode == "always" or (mode == "on_failure" and decision not in {"pass", "skipped"}))


# --- docs/reference.md, Decisions ------------------------------------------------------------------------------------


def evaluate(world: World, runs: Sequence[Run], settings: Mapping[str, Any], failed_at: str) -> Sequence[Evaluated]:
    """Return what the backend shows of each CI run of the gate."""
    ids, files = settings.get("trace_id", ()), settings.get("trace_file", ())
    scenarios: list[Any] = [*(("id", each) for each in ids), *(scenario_of(world, each) for each in files)]
    numbers = [*(int(each[-1]) for each in ids), *(int(FILES[each][-1]) for each in files)]
    if not scenarios:
        numbers, scenarios = [1], [None]
    own = [*([False] * (len(scenarios) - len(files))), *(world.says.get(each) == "failed" for each in files)]
    found = [
        Evaluated(decision="error", scenario=each) if failed_at else of_run(runs[n - 1], settings, each, failed=failed)
        for n, each, failed in zip(numbers, scenarios, own, strict=True)
    ]
    return [replace(each, flaky=is_flaky(settings, each.scenario)) for each in found]


def is_flaky(settings: Mapping[str, Any], scenario: object) -> bool:
    """Return whether a scenario does not count today, by docs/policy.md, Flaky scenarios."""
    days = settings.get("flaky", {})
    last = {shown(name): day for name, day in days.items()}
    return isinstance(scenario, tuple) and date.fromisoformat(last.get(scenario[1], "2000-01-01")) >= TODAY


def scenario_of(world: World, file: str) -> tuple[str, str]:
    """Return the scenario of a trace file, by docs/reference.md, Scenarios and numbers."""
    task = world.tasks[file]
    name = shown(task) if isinstance(task, str) else ""
    return ("task", name) if name else ("path", file)


def shown(name: str) -> str:
    """Return a name as it is shown: in NFC, without the invisible characters of a world, white space as one space."""
    return unicodedata.normalize("NFC", " ".join(re.sub("[\u200b\u115f]", "", name).split()))


def sent(settings: Mapping[str, Any], runs: int) -> Mapping[str, Any]:
    """Return the thresholds that Sepurux gets, by docs/reference.md, Scenarios and numbers."""
    own = ("min_scenarios", "min_scenario_pass_rate")
    known = {name: value for name, value in thresholds(settings).items() if name in ROWS and name not in own}
    if runs > 1:
        return {"min_pass_rate": 0, **{name: value for name, value in known.items() if name in SUMS}}
    return known


def failed_call(world: World, settings: Mapping[str, Any]) -> str:
    """Return the call whose fault leaves the gate without a result, or `secret` without one; else ''."""
    fault = world.fault
    if not world.secret:
        return "secret"
    if fault is None or (fault.call == "upload" and "trace_file" not in settings):
        return ""
    return fault.call if fault.lasting else ""  # else only one call has it


def is_outage(world: World, failed_at: str) -> bool:
    """Return whether Sepurux gave no response, or only HTTP 5xx, to the first call."""
    return failed_at == "campaigns" and world.fault is not None and world.fault.kind in NO_RESPONSE


def of_run(run: Run, settings: Mapping[str, Any], scenario: object, *, failed: bool) -> Evaluated:
    """Return the decision on a CI run: the rows of the table that need no number. `failed`: by its recording itself."""
    numbers: dict[str, Any] = {name: number(run.fields[name], name) for name in NUMBERS}
    numbers["scenarios"] = scenarios(run)
    numbers["categories"] = categories(run.fields["mutation_categories"])
    if failed:
        numbers |= {"pass_rate": 0, "reliability_score": 0}
    status, decision = run.fields["status"], run.fields["decision"]
    if decision == "fail":
        decided = "fail"
    elif status in {"failed", "cancelled"}:
        decided = "error"
    elif status == "paused" or decision == "maybe":
        decided = "pending"
    elif decision != "pass":
        decided = "error" if status in {"done", "completed"} else "pending"
    else:
        decided = "pass"
    known = decided != "pending" and decision in {"pass", "fail"}
    found = Evaluated(decision=decided, scenario=scenario, numbers=numbers if known else {})
    if decided == "pass" and "min_reliability_score" in settings and numbers["reliability_score"] is None:
        return with_score(found, run.scores[:1] if scenario or not run.names_runs else run.scores)
    return found


def scenarios(run: Run) -> float | str | None:
    """Return the number of a batch's scenarios, by docs/reference.md, Scenarios and numbers."""
    count = number(run.fields["trace_count"], "trace_count")
    return len(run.scores) if count is None and run.names_runs else count


def categories(value: object) -> object:
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        return BROKEN
    names = {*map(shown, value)}
    return sorted(names) if len(names) <= MOST_CATEGORIES else None


def with_score(found: Evaluated, answers: Sequence[Any]) -> Evaluated:
    """Return a run once the score of each CI run was requested; the mean of those that report one counts."""
    kept = {"401": None, "403": None, "404": None, "null": None, "503 once": 80}
    scores = [kept[each] if each in kept else number(each, "reliability_score") for each in answers]
    if BROKEN in scores:
        return replace(found, numbers={**found.numbers, "reliability_score": BROKEN})
    known: list[Any] = [score for score in scores if score is not None]
    mean = round(sum(known) / len(known), 8) if known else None
    return replace(found, numbers={**found.numbers, "reliability_score": mean})


# --- docs/reference.md, Scenarios and numbers -----------------------------------------------------------------------


def of_all(runs: Sequence[Evaluated]) -> Together:
    """Return the numbers of all runs: means over the recordings, then over the scenarios, and sums."""
    known, partly, broken = dict[str, Any](), dict[str, Any](), list[str]()
    for name in (*NUMBERS, "categories"):
        counted = [run for run in runs if not run.flaky or name == "unsafe_attempts"]
        values = [run.numbers.get(name) for run in counted]
        usable = [value for value in values if value not in (None, BROKEN)]
        if not usable:
            broken += [name] * (BROKEN in values)
            continue
        one = pooled(name, counted) if len(runs) > 1 else usable[0]
        (known if len(usable) == len(values) else partly)[name] = one
    count, rates = scenario_count(runs), scenario_rates([run for run in runs if not run.flaky])
    if count == BROKEN:
        broken.append("scenarios")
    elif count is not None:
        known["scenarios"] = count
    usable = [rate for rate in rates if rate is not None]
    if usable:
        (known if len(usable) == len(rates) else partly)["lowest"] = round(min(usable), 10)
    return Together(
        known=known,
        partly=partly,
        broken=broken,
        rates=rates,
        count=None if count == BROKEN else count,
        several=len(runs) > 1 or any(run.flaky for run in runs),
    )


def pooled(name: str, runs: Sequence[Evaluated]) -> Any:  # noqa: ANN401 - a number or names
    every: list[tuple[object, Any]] = [(run.scenario, run.numbers.get(name)) for run in runs]
    values = [(scenario, value) for scenario, value in every if value not in (None, BROKEN)]
    if name == "categories":
        return sorted({each for _, names in values for each in names})
    if name in SUMMED:
        return sum(value for _, value in values)
    by_scenario: dict[object, list[float]] = {}
    for scenario, value in values:
        by_scenario.setdefault(scenario, []).append(value)
    means = [Fraction(math.fsum(each)) / len(each) for each in by_scenario.values()]
    return round(float(sum(means) / len(means)), {"pass_rate": 10, "reliability_score": 8}[name])


def scenario_count(runs: Sequence[Evaluated]) -> Any:  # noqa: ANN401 - a number, None, or BROKEN
    if [run.scenario for run in runs] == [None]:
        return runs[0].numbers.get("scenarios")
    return len({run.scenario for run in runs}) or None


def scenario_rates(runs: Sequence[Evaluated]) -> Sequence[Any]:
    """Return the pass rate of each scenario, None if one of its recordings does not report it."""
    if [run.scenario for run in runs] == [None]:
        return []
    by_scenario: dict[object, list[Any]] = {}
    for run in runs:
        by_scenario.setdefault(run.scenario, []).append(run.numbers.get("pass_rate"))
    return [None if None in each or BROKEN in each else math.fsum(each) / len(each) for each in by_scenario.values()]


def decide(world: World, settings: Mapping[str, Any], runs: Sequence[Evaluated], together: Together) -> str:
    """Return the decision on a gate: the rows of the table, in their order."""
    decisions = {run.decision for run in runs if not run.flaky}
    if "fail" in decisions or (together.several and missed(settings, together) & {*SUMS}):
        return "fail"
    flaky = {run.decision for run in runs if run.flaky}  # one that is pending may still report unsafe attempts
    waiting = flaky & ({"pending"} if decisions else {"pending", "error"})  # the worst one, if none counts
    if undecided := (decisions - {"pass"}) or waiting:
        return min(undecided, key=WORST_FIRST.index)
    if not runs:
        return "skipped"
    if all(run.flaky for run in runs):
        return "error"
    compared = compare(world, settings, together)
    if missed(settings, together) or compared == "fail":
        return "fail"
    if together.count == 0:
        return "error"
    return "error" if compared == "error" or unknown(settings, together) else "pass"


def missed(settings: Mapping[str, Any], together: Together) -> set[str]:
    """Return the thresholds that are missed; what only some runs report counts if the others can only make it worse."""
    limits = thresholds(settings)
    counted = {**together.known, **{name: together.partly[name] for name in SINKING if name in together.partly}}
    rows = [(name, *ROWS[name]) for name in ROWS if name in limits]
    return {name for name, number, meets in rows if number in counted and not meets(counted[number], limits[name])}


def unknown(settings: Mapping[str, Any], together: Together) -> set[str]:
    """Return the numbers without which the gate does not pass, by the name that `numbers` has."""
    several = together.several
    found = set()
    for name in thresholds(settings):
        if (number := READ_BY.get(name)) is None or number in together.known:
            continue
        if number in together.broken or several or name in NEEDED or number in together.partly:
            found.add(number)
    return found


def thresholds(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the thresholds with the defaults, by docs/reference.md, Settings."""
    default = {"max_unsafe": 0} | ({} if "min_reliability_score" in settings else {"min_pass_rate": 0.9})
    return {**default, **settings}


def number(value: object, name: str) -> float | str | None:
    """Return a reported number on its scale, None if it is not reported, or BROKEN."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return BROKEN
    high = {"pass_rate": 1, "reliability_score": 100}.get(name, math.inf)
    if name == "reliability_score" and isinstance(value, float) and 0 <= value <= 1:
        value *= 100
    value = round(value, {"pass_rate": 10, "reliability_score": 8}.get(name, 15))
    whole = name in {"unsafe_attempts", "failures", "trace_count"}
    return BROKEN if not 0 <= value <= high or (whole and value != int(value)) else value


def shown_numbers(runs: Sequence[Evaluated], together: Together) -> Mapping[str, float | None]:
    """Return the numbers of a gate, None for an unknown one. A score may come from a call that decides nothing."""
    scored = all(run.flaky or run.numbers.get("reliability_score") is not None for run in runs)
    return {name: together.known.get(name) for name in NUMBERS if scored or name != "reliability_score"}


def shown_scenarios(runs: Sequence[Evaluated], together: Together) -> Sequence[float] | None:
    if not runs or any(run.decision not in {"pass", "fail"} for run in runs):
        return None
    return [] if together.count is None else [together.count]


# --- docs/policy.md, Block only what gets worse ----------------------------------------------------------------------


def is_comparable(result: Published, settings: Mapping[str, Any]) -> bool:
    """Return whether a result of the base is decided, and its numbers meet each threshold that is set apart from drops.

    Each status of a world has 0 unsafe attempts and 1 failure.
    """
    minima = (("min_pass_rate", result.rate), ("min_reliability_score", result.score))
    low = any(number is not None and name in settings and number < settings[name] for name, number in minima)
    high = settings.get("max_failures", 1) < 1
    return result.words.startswith(("pass", "fail")) and not low and not high


def compare(world: World, settings: Mapping[str, Any], together: Together) -> str:
    """Return the decision on a gate that passed. A drop is missed below the median and below every result."""
    if DROP not in settings:
        return "pass"
    hidden = [each for each in world.base if each and not (each.own and each.words.startswith(("pass", "fail")))]
    if world.github_fault in BASE_FAULTS or (hidden and world.github_fault == "statuses"):
        return "error"
    results = [each for each in world.base if each and each.own and is_comparable(each, settings)][:5]
    known = [each.rate for each in results if each.rate is not None]
    if "pass_rate" not in together.known:
        return "error" if len(known) >= FEWEST_RESULTS else "pass"
    shown = round(together.known["pass_rate"], 4)
    if len(known) < FEWEST_RESULTS or shown >= min(known) or round(median_low(known) - shown, 8) <= settings[DROP]:
        return "pass"
    return "fail"


# --- docs/policy.md, Who can approve ---------------------------------------------------------------------------------


def stage_of(settings: Mapping[str, Any], subject: Subject) -> str:
    """Return the stage that applies: without a pull request, a soft gate acts as a hard gate."""
    stage = str(settings.get("enforcement", "hard"))
    return "hard" if stage == "soft" and subject.pull is None else stage


def is_approved(world: World, settings: Mapping[str, Any]) -> bool:
    if world.github_fault in {"reviews", "requesters", "permission"}:
        return False  # if any of it cannot be read, no one counts
    last = {}
    for review in world.reviews:
        if review.state != "COMMENTED":
            last[review.login] = review
    approvals = [each for each in last.values() if each.state == "APPROVED" and not each.old and not each.bot]
    return any(is_eligible(world, settings, each.login) for each in approvals)


def refused(world: World) -> set[str]:
    """Return who is refused whatever their permission: the author, and who made the commit or asked a bot for it."""
    if world.opener == AGENT:
        return {*world.assignees, *world.commit_authors}
    return {world.opener, *world.commit_authors[:1]}


def is_eligible(world: World, settings: Mapping[str, Any], login: str) -> bool:
    listed = [each.lower() for each in settings.get("reviewers", ())]
    writes = world.roles.get(login) in {"write", "admin"} and world.github_fault != "permission"
    return writes and login not in refused(world) and (not listed or login in listed)
