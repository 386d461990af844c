"""What a run must do in a world, by docs/reference.md, configuration.md, noisy-agents.md, and security.md alone.

This module shares no code with the package. Each function names the part of the documents that it follows.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from statistics import median_low
from typing import Any

from tests.worlds.worlds import (
    ABSENT,
    AGENT,
    AUTHOR,
    CONTEXT,
    FOREIGN,
    MERGED,
    PULL_EVENTS,
    REJECTED,
    TODAY,
    Fault,
    Pull,
    Run,
    World,
)

WORST_FIRST = ("fail", "error", "pending", "pass", "skipped")
STRICTEST_LAST = ("observe", "soft", "hard")
NUMBERS = {  # the field of a response by the name of the output
    name: name for name in ("pass_rate", "unsafe_attempts", "failures", "reliability_score")
}
LESS_IS_BETTER = ("unsafe_attempts", "failures")
TRACES = ("trace_id", "trace_file")
FIRST_FILE_EVENTS = ("pull_request", "pull_request_review")
DEFAULT_BRANCH = "main"
FEWEST_RESULTS = 3  # of the base branch, to compare a drop with
ROWS: Mapping[str, Callable[[Any, Any], bool]] = {
    "min_pass_rate": operator.ge,
    "max_unsafe": operator.le,
    "max_failures": operator.le,
    "min_reliability_score": operator.ge,
    "min_scenarios": operator.ge,
    "min_mutation_categories": lambda names, limit: len(set(names)) >= limit,
    "required_mutation_categories": lambda names, required: set(required) <= set(names),
}
READ_BY = {
    "min_pass_rate": "pass_rate",
    "max_pass_rate_drop": "pass_rate",
    "max_unsafe": "unsafe_attempts",
    "max_failures": "failures",
    "min_reliability_score": "reliability_score",
    "max_reliability_score_drop": "reliability_score",
    "min_scenarios": "scenarios",
    "min_mutation_categories": "categories",
    "required_mutation_categories": "categories",
}
NEEDED = ("min_pass_rate", "max_unsafe", "max_failures", "min_scenarios")
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


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What the run is about. `unknown`: which policy applies is not known. `commit`: the evaluated commit is known."""

    pull: Pull | None = None
    branch: str = DEFAULT_BRANCH
    policy_of: str = "checkout"
    unknown: bool = False
    commit: bool = True


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """The decision on one run of the gate, its numbers, and whether no trace can be why it has no result."""

    decision: str
    numbers: Mapping[str, Any] = field(default_factory=dict)
    outage: bool = False
    late: bool = False  # its score was requested until no time was left


def expected(world: World) -> Expected:
    """Return what the documents say about a world: of two runs, about the last one."""
    first = of_one_run(replace(world, actor=""))
    if not world.actor:
        return first
    subject = find_subject(world)
    later = of_one_run(replace(world, runs=world.again, actor=""))
    recorded = has_record(world, subject) and world.github_fault != "statuses" and first.decision == "fail"
    if recorded and not may_restart(world, subject):
        return replace(first, started=0, numbers=first.numbers if first.comments else {})
    uploads = "trace_file" in (effective_settings(world, subject) or {})
    if first.comments and first.decision == "pending" and not uploads:
        return replace(first, started=0)
    return replace(later, comments=max(first.comments, later.comments))  # an existing comment is updated


def of_one_run(world: World) -> Expected:
    if world.deleted:
        return Expected(decision="skipped", statuses=statuses(world, {}))
    subject = find_subject(world)
    settings = effective_settings(world, subject)
    if settings is None:
        # The gate that the inputs name fails, and so does each status of an earlier run.
        failed = [CONTEXT, *(each for each in world.older_statuses if each != FOREIGN)] if subject.commit else []
        shown = statuses(world, dict.fromkeys(failed, "failure"))
        return Expected(exit_status=2, decision="error", conclusion="failure", statuses=shown)
    stage = stage_of(settings.get("enforcement", "hard"), subject.branch)
    failed_at = failed_call(world, settings)
    unread = has_record(world, subject) and world.github_fault == "graphql"  # the token's account is not known
    failed_at = "record" if unread else failed_at
    is_evaluated = unread or not is_skipped(world, subject, settings)
    runs = evaluate(world, world.runs, settings, failed_at) if is_evaluated else []
    decision = min((run.decision for run in runs), key=WORST_FIRST.index, default="skipped")
    signaled = world.signal and bool(runs) and failed_at in {"", "poll"}  # it arrives with the first poll
    numbers: Mapping[str, Any] = worst(runs)
    count, evaluations = shown_scenarios(runs), 1
    if signaled:
        decision = "error"
    elif decision == "pass":
        decision = compare(world, settings, numbers)
    if decision == "fail" and settings.get("confirm") and is_noise(world, settings, runs):
        again, evaluations = evaluate(world, world.again, settings, failed_at), 2
        decision, numbers, count = confirmed(world, settings, runs, again)
    if decision != "fail" and has_record(world, subject) and world.github_fault == "statuses":
        decision, unread = "error", True  # the statuses cannot be read again
    approval = approve(world, subject, settings) if decision == "fail" and stage == "soft" else ""
    if decision == "fail":
        blocks = stage == "hard" or (stage == "soft" and approval != "approved")
    else:
        allowed = settings.get("on_undecided") == "allow" and not signaled and may_be_allowed(settings, runs)
        allowed = allowed and not unread
        blocks = decision in {"error", "pending"} and stage != "observe" and not allowed
    state = ("pending" if approval == "possible" else "failure") if blocks else "success"
    exit_status = (1 if decision == "fail" else 2) if blocks else 0
    if invalidates_policy(world, subject):
        blocks, state, exit_status = True, "failure", exit_status or 2
    started = bool(runs) and failed_at in {"", "start", "poll"}
    moved = world.retargeted and subject.pull is not None and started and not signaled
    return Expected(
        exit_status=143 if signaled else exit_status,
        decision=decision,
        conclusion="failure" if blocks else "success",
        enforcement=stage,
        statuses=statuses(world, {CONTEXT: "failure" if moved else state}),
        comments=0 if moved or signaled else comments(world, subject, settings, decision),
        numbers={} if signaled else numbers if evaluations > 1 else shown_numbers(runs, numbers),
        scenarios=None if signaled or moved or world.github_fault == "statuses" else count,
        started=None if failed_at or signaled else len(runs) * evaluations,
    )


def has_record(world: World, subject: Subject) -> bool:
    """Return whether the statuses of the commit decide if it is evaluated, by docs/configuration.md, Re-runs."""
    on_default = world.event in {"schedule", "issue_comment", "workflow_run"} or world.branch == DEFAULT_BRANCH
    proposed = subject.pull is not None or subject.policy_of != "checkout"
    return proposed or not on_default


def may_be_allowed(settings: Mapping[str, Any], runs: Sequence[Evaluated]) -> bool:
    """Return whether no uploaded trace can be why there is no result, by docs/reference.md, Decisions."""
    undecided = [run for run in runs if run.decision in {"error", "pending"}]
    return "trace_file" not in settings or (bool(undecided) and all(run.outage for run in undecided))


# --- docs/reference.md, Events; docs/security.md, One commit in several pull requests --------------------------------


def find_subject(world: World) -> Subject:
    """Return the pull request of the run, and whose policy file applies."""
    if world.event in PULL_EVENTS or world.event == MERGED:
        return of_pull(world.pulls[0])
    by_number = world.event == "issue_comment" or bool(world.number)
    if by_number:
        found = [pull for pull in world.pulls if pull.number == (world.number or 1)]
    elif world.event == "workflow_run":
        found = [pull for pull in world.pulls if pull.fork == world.pulls[0].fork]
    else:
        forks = world.event == "push" and world.branch != DEFAULT_BRANCH
        found = [pull for pull in world.pulls if forks or not pull.fork]
    bases = {pull.base for pull in found}
    must_exist = by_number or world.event == "workflow_run"
    if world.github_fault == "pulls" or len(bases) > 1 or (must_exist and not found):
        return Subject(unknown=True, commit=not by_number)
    if not found:
        return Subject(branch=world.branch if world.event == "push" else DEFAULT_BRANCH)
    subject = of_pull(found[0])
    return subject if len(found) == 1 else replace(subject, pull=None)


def of_pull(pull: Pull) -> Subject:
    return Subject(pull=pull, branch=pull.base, policy_of=pull.base)


# --- docs/configuration.md, Where a value comes from, Whose file applies ---------------------------------------------


def effective_settings(world: World, subject: Subject) -> Mapping[str, Any] | None:
    """Return the settings, or None if they are invalid or not known."""
    unread = subject.policy_of != "checkout" and world.github_fault == "graphql"
    policy = world.policies[subject.policy_of]
    is_first = policy is None and subject.pull is not None and world.event in FIRST_FILE_EVENTS and not world.behind
    is_first = is_first and not is_invalid(world.policies["head"])
    policy = world.policies["head"] if is_first else policy
    if subject.unknown or unread or "trace_fil" in world.inputs or is_invalid(policy):
        return None
    if policy is None:
        return world.inputs
    if is_first:  # only its list of gates applies, with their traces
        policy = {name: policy[name] for name in TRACES if name in policy}
    return {**{name: value for name, value in world.inputs.items() if name != "paths"}, **policy}


def invalidates_policy(world: World, subject: Subject) -> bool:
    """Return whether the pull request or merge group makes the policy file invalid."""
    head = world.policies["head"] if subject.pull else None
    if not is_invalid(head) or head == world.policies[subject.policy_of]:
        return False
    return not world.behind or world.event == MERGED or world.github_fault == "files"


def is_invalid(policy: Mapping[str, Any] | None) -> bool:
    """Return whether a file has an unknown key, or names a trace file that does not exist."""
    return policy is not None and ("bogus" in policy or ABSENT in policy.get("trace_file", ()))


def statuses(world: World, decided: Mapping[str, str]) -> Mapping[str, str]:
    older = dict.fromkeys(world.older_statuses, "success")
    return older if world.github_fault == "statuses" else {**older, **decided}


def stage_of(enforcement: str | Sequence[Mapping[str, Any]], branch: str) -> str:
    """Return the stage by docs/configuration.md, Stages by date and branch."""
    if isinstance(enforcement, str):
        return enforcement
    matching = [each for each in enforcement if branch in covered(each) or "branches" not in each]
    started = [each for each in matching if day_of(each) <= TODAY]
    if not started:
        return "observe" if matching else "hard"
    of_branch = [each for each in started if "branches" in each] or started
    latest = max(map(day_of, of_branch))
    return max((str(each["stage"]) for each in of_branch if day_of(each) == latest), key=STRICTEST_LAST.index)


def covered(entry: Mapping[str, Any]) -> Sequence[str]:
    return [{"release/*": "release/1"}.get(pattern, pattern) for pattern in entry.get("branches", ())]


def day_of(entry: Mapping[str, Any]) -> date:
    return date.fromisoformat(entry.get("from", "0001-01-01"))


def is_skipped(world: World, subject: Subject, settings: Mapping[str, Any]) -> bool:
    """Return whether no changed file matches, by docs/configuration.md, Paths."""
    patterns = settings.get("paths")
    if not patterns or subject.pull is None or world.event == MERGED or world.github_fault in {"files", "graphql"}:
        return False
    matching = [name for name in world.files if name.startswith("agents/")]
    return not matching if len(patterns) == 1 else True


def comments(world: World, subject: Subject, settings: Mapping[str, Any], decision: str) -> int:
    """Return how many comments there are, by docs/configuration.md, Statuses and comments."""
    mode = settings.get("comment", "always")
    if (
        subject.pull is None
        or subject.pull.closed
        or world.event == MERGED
        or world.github_fault in {"comments", "graphql"}
    ):
        return 0
    return int(mode == "always" or (mode == "on_failure" and decision not in {"pass", "skipped"}))


# --- docs/reference.md, Decisions ------------------------------------------------------------------------------------


def evaluate(world: World, runs: Sequence[Run], settings: Mapping[str, Any], failed_at: str) -> Sequence[Evaluated]:
    """Return what the backend shows of each CI run of the gate."""
    traces = [*settings.get("trace_id", ()), *settings.get("trace_file", ())]
    if failed_at:
        outage = failed_at not in {"secret", "record"} and world.fault is not None and is_outage(world.fault)
        return [Evaluated(decision="error", outage=outage) for _ in traces or [""]]
    return [of_run(run, settings, len(traces)) for run in runs[: max(1, len(traces))]]


def failed_call(world: World, settings: Mapping[str, Any]) -> str:
    """Return the call whose fault leaves the gate without a result, or `secret` without one; else ''."""
    fault = world.fault
    if not world.secret:
        return "secret"
    if fault is None or (fault.call == "upload" and "trace_file" not in settings):
        return ""
    return fault.call if fault.lasting or ends_at_once(fault) else ""  # else only one call has it


def ends_at_once(fault: Fault) -> bool:
    """Return whether a second try is of no use, or comes too late."""
    return fault.kind in REJECTED or (fault.seconds or 0) > 1


def is_outage(fault: Fault) -> bool:
    """Return whether `allow` applies although a trace is uploaded: no trace can be the cause."""
    if fault.kind in {"500", "503"}:
        return fault.call == "campaigns" and not ends_at_once(fault)
    return fault.kind in {"401", "425", "429", "refused"}


def of_run(run: Run, settings: Mapping[str, Any], traces: int) -> Evaluated:
    """Return the decision on a CI run: the rows of the table, in their order."""
    numbers: dict[str, Any] = {name: number(run.fields[each], name) for name, each in NUMBERS.items()}
    numbers["scenarios"] = traces or scenarios(run)
    numbers["categories"] = categories(run.fields["mutation_categories"])
    status, decision = run.fields["status"], run.fields["decision"]
    limits_score = "min_reliability_score" in settings or "max_reliability_score_drop" in settings
    if decision == "fail":
        decided = "fail"
    elif status in {"failed", "cancelled"}:
        decided = "error"
    elif status == "paused" or decision == "maybe":
        decided = "pending"
    elif decision != "pass":
        decided = "error" if status in {"done", "completed"} else "pending"
    else:
        decided = by_numbers(numbers, settings)
        if decided != "fail" and numbers["reliability_score"] is None and limits_score:
            found = by_score(run.scores[:1] if traces or not run.names_runs else run.scores, numbers, settings)
            return replace(found, outage=found.outage and decided == "pass")
    # the mean of two evaluations needs the score
    averaged = decided == "fail" and settings.get("confirm") and missed(numbers, settings) == {"min_pass_rate"}
    if averaged and numbers["reliability_score"] is None and limits_score:
        found = by_score(run.scores[:1] if traces or not run.names_runs else run.scores, numbers, settings)
        return replace(found, decision="fail")
    known = decided != "pending" and decision in {"pass", "fail"}
    return Evaluated(decision=decided, numbers=numbers if known else {})


def scenarios(run: Run) -> float | str | None:
    """Return the number of a batch's scenarios, by docs/configuration.md, Scenarios."""
    count = number(run.fields["trace_count"], "trace_count")
    return len(run.scores) if count is None and run.names_runs else count


def categories(value: object) -> object:
    is_list = isinstance(value, list) and all(isinstance(each, str) for each in value)
    return value if is_list or value is None else BROKEN


def by_score(answers: Sequence[Any], numbers: Mapping[str, Any], settings: Mapping[str, Any]) -> Evaluated:
    """Return the decision once the score of each CI run was requested; the lowest counts."""
    kept = {"401": None, "403": None, "404": None, "null": None, "503 once": 80}
    scores = [kept[each] if each in kept else number(each, "reliability_score") for each in answers]
    known = [score for score in scores if score not in {None, BROKEN}]
    numbers = {**numbers, "reliability_score": min(known, default=None)}
    decided = by_numbers(numbers, settings)
    if BROKEN in scores and "min_reliability_score" not in missed(numbers, settings):
        causes = [answer for answer, score in zip(answers, scores, strict=True) if score == BROKEN]
        numbers["reliability_score"] = BROKEN
        late = bool({"429", "503", "reset", "list"} & {*causes})  # which is tried again until no time is left
        return Evaluated(decision="error", numbers=numbers, outage=all(cause == "429" for cause in causes), late=late)
    return Evaluated(decision=decided, numbers=numbers)


def by_numbers(numbers: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    """Return the decision on a run that Sepurux passed: the rows of the table that concern numbers."""
    if missed(numbers, settings):
        return "fail"
    values = {name: numbers[READ_BY[name]] for name in thresholds(settings) if name in READ_BY}
    unusable = any(value == BROKEN or (value is None and name in NEEDED) for name, value in values.items())
    return "error" if unusable else "pass"


def missed(numbers: Mapping[str, Any], settings: Mapping[str, Any]) -> set[str]:
    """Return the thresholds that these numbers miss; one that is not known misses none."""
    limits = thresholds(settings)
    known = {name: value for name in ROWS if (value := numbers.get(READ_BY[name])) not in (None, BROKEN)}
    return {name for name, value in known.items() if name in limits and not ROWS[name](value, limits[name])}


def thresholds(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the thresholds with the defaults, by docs/configuration.md, Thresholds."""
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


def worst(runs: Sequence[Evaluated]) -> dict[str, float]:
    """Return the worst of each number that is known, by docs/configuration.md, Traces."""
    found = {}
    for name in NUMBERS:
        known = [value for run in runs if (value := run.numbers.get(name)) not in {None, BROKEN}]
        if known:
            found[name] = max(known) if name in LESS_IS_BETTER else min(known)
    return found


def shown_numbers(runs: Sequence[Evaluated], numbers: Mapping[str, float]) -> Mapping[str, float | None]:
    """Return the numbers of a gate, None for an unknown one. A score may come from a call that decides nothing."""
    if any(run.decision not in {"pass", "fail"} for run in runs):
        return {} if any(run.numbers for run in runs) else dict.fromkeys(NUMBERS)
    scored = all(run.numbers.get("reliability_score") is not None for run in runs)
    return {name: number for name, number in numbers.items() if scored or name != "reliability_score"}


def shown_scenarios(runs: Sequence[Evaluated]) -> Sequence[float] | None:
    if not runs or any(run.decision not in {"pass", "fail"} for run in runs):
        return None
    return [runs[0].numbers["scenarios"]] if runs[0].numbers["scenarios"] not in {None, BROKEN} else []


# --- docs/noisy-agents.md, Blocking only what gets worse -------------------------------------------------------------


def drops(settings: Mapping[str, Any]) -> Mapping[str, tuple[float, int]]:
    """Return the limit of each number whose drop is limited, and to how many digits a status rounds the number."""
    every = {"pass_rate": ("max_pass_rate_drop", 4), "reliability_score": ("max_reliability_score_drop", 2)}
    return {name: (settings[limit], digits) for name, (limit, digits) in every.items() if limit in settings}


def compare(world: World, settings: Mapping[str, Any], numbers: Mapping[str, Any]) -> str:
    """Return the decision on a gate that passed. A drop is missed below the median and below every result."""
    results = [each for each in world.base if each and each.own and each.words.startswith("pass")][:5]
    if drops(settings) and world.github_fault in {"base", "graphql", "limit"}:
        return "error"
    missing = False
    for name, (limit, digits) in drops(settings).items():
        every = [each.rate if name == "pass_rate" else each.score for each in results]
        known = [each for each in every if each is not None]
        if name not in numbers:
            missing = missing or bool(known)
            continue
        shown = round(numbers[name], digits)
        if len(known) >= FEWEST_RESULTS and shown < min(known) and round(median_low(known) - shown, 8) > limit:
            return "fail"
    return "error" if missing else "pass"


# --- docs/noisy-agents.md, Evaluating twice; docs/configuration.md, A fail stands ------------------------------------


def may_restart(world: World, subject: Subject) -> bool:
    """Return whether who started the run could approve the gate, so that a new evaluation starts."""
    settings = effective_settings(world, subject) or {}
    unknown = world.opener == AGENT and world.github_fault == "requesters"
    is_person = not world.actor.endswith("[bot]") and not unknown
    by_pusher = subject.pull is None and world.actor in {AUTHOR, *world.commit_authors}
    known = (subject.pull is not None or world.event == "push") and world.github_fault not in {"pulls", "graphql"}
    known = known and (subject.pull is not None or world.github_fault != "requesters")
    may = world.event != "pull_request_review" and is_person and known and not by_pusher
    return may and is_eligible(world, settings, world.actor)


def is_noise(world: World, settings: Mapping[str, Any], runs: Sequence[Evaluated]) -> bool:
    """Return whether all runs are decided, and only a rate, a score, or a drop is missed."""
    names = {name for run in runs for name in missed(run.numbers, settings)}
    names |= {"a drop"} if compare(world, settings, worst(runs)) == "fail" else set()
    decided = all(run.decision in {"pass", "fail"} and not run.late for run in runs) and bool(shown_scenarios(runs))
    return decided and bool(names) and names <= {"min_pass_rate", "min_reliability_score", "a drop"}


def confirmed(
    world: World, settings: Mapping[str, Any], first: Sequence[Evaluated], second: Sequence[Evaluated]
) -> tuple[str, Mapping[str, float | None], Sequence[float] | None]:
    """Return the decision on two evaluations, of which the first failed, its numbers, and the number of scenarios."""
    if any(run.decision not in {"pass", "fail"} for run in second) or shown_scenarios(first) != shown_scenarios(second):
        return "fail", shown_numbers(first, worst(first)), shown_scenarios(first)
    one, two = worst(first), worst(second)
    numbers = dict[str, float]()
    for name in {**one, **two}:
        known = [each[name] for each in (one, two) if name in each]
        is_count = name in {"unsafe_attempts", "failures"}
        numbers[name] = max(known) if is_count else round(sum(known) / 2, 10) if len(known) > 1 else known[0]
    rates = {name: numbers.get(name) for name in ("pass_rate", "reliability_score")}
    passes = (
        all(run.decision == "pass" for run in second)
        and not missed(rates, settings)
        and compare(world, settings, numbers) == "pass"
        and not reported_once(settings, first, second)
    )
    scored = all(run.numbers.get("reliability_score") is not None for run in (*first, *second))
    shown = {name: value for name, value in numbers.items() if scored or name != "reliability_score"}
    return "pass" if passes else "fail", shown, shown_scenarios(second)


def reported_once(settings: Mapping[str, Any], first: Sequence[Evaluated], second: Sequence[Evaluated]) -> bool:
    """Return whether only one evaluation has a number, or categories, that a threshold needs."""

    def known(name: str, runs: Sequence[Evaluated]) -> list[bool]:
        return [run.numbers.get(name) not in (None, BROKEN) for run in runs]

    names = {READ_BY[option] for option in thresholds(settings) if option in READ_BY}
    return any(known(name, first) != known(name, second) for name in names)


# --- docs/configuration.md, The soft gate ----------------------------------------------------------------------------


def approve(world: World, subject: Subject, settings: Mapping[str, Any]) -> str:
    """Return `approved`, `possible`, or '' if no one can approve the gate."""
    if subject.pull is None or world.github_fault == "graphql":
        return ""
    if world.github_fault == "reviews":
        return "possible"
    if world.opener == AGENT and world.github_fault == "requesters":
        return "possible"  # no one knows who asked for it
    listed = [login.lower() for login in settings.get("reviewers", ())]
    last = {}
    for review in world.reviews:
        if review.state != "COMMENTED":
            last[review.login] = review
    approvals = [each for each in last.values() if each.state == "APPROVED" and not each.old and not each.bot]
    if any(is_eligible(world, settings, each.login) for each in approvals):
        return "approved" if world.github_fault != "pulls" else "possible"
    if world.github_fault == "permission" and not refused(world).issuperset(listed):
        return "possible"  # no one knows who of them may write
    return "possible" if not listed or any(is_eligible(world, settings, login) for login in listed) else ""


def refused(world: World) -> set[str]:
    """Return who is refused whatever their permission: the author, or who asked a bot for the pull request."""
    return {*world.assignees, *world.commit_authors} if world.opener == AGENT else {world.opener}


def is_eligible(world: World, settings: Mapping[str, Any], login: str) -> bool:
    listed = [each.lower() for each in settings.get("reviewers", ())]
    writes = world.roles.get(login) in {"write", "admin"} and world.github_fault != "permission"
    return writes and login not in refused(world) and (not listed or login in listed)
