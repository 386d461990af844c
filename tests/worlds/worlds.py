"""Random worlds: everything that one run of the gate meets, as plain data. A seed always gives the same world."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from random import Random
from typing import Any, TypeVar

T = TypeVar("T")
ABSENT = "none.json"  # a trace file that does not exist
TODAY = date(2027, 3, 10)
CAMPAIGN = "core"
CONTEXT = f"Sepurux / {CAMPAIGN}"
FOREIGN = "ci / build"  # a status that is not the gate's
BRANCHES = ("main", "release/1", "dev")
PLACES = (*BRANCHES, "head")  # of a policy file
PULL_EVENTS = ("pull_request", "pull_request_review", "pull_request_target")
MERGED = "merge_group"
OTHER_EVENTS = ("workflow_dispatch", "schedule", "workflow_run", "workflow_run")
AUTHOR = "mona"  # of each pull request
PEOPLE = ("ada", "bob", AUTHOR)
LOGINS = (*PEOPLE, "helper[bot]")
AGENT = "copilot-swe-agent"
OPENERS = (*(AUTHOR,) * 3, AGENT, AGENT, "dependabot")
TIMEOUT_S = 8
TRACES: tuple[dict[str, list[str]], ...] = (
    *({}, {}, {"trace_id": ["t-1"]}, {"trace_id": ["t-1", "t-2"]}),
    *({"trace_file": ["a.json"]}, {"trace_file": ["a.json", "b.json"]}),
    {"trace_file": ["a.json", "b.json", "c.json"]},
    {"trace_id": ["t-1", "t-2"], "trace_file": ["a.json", "b.json"]},  # without a fault, which only some may meet
)
RECORDINGS = TRACES[-3:]
FILES = {"a.json": "t-3", "b.json": "t-4", "c.json": "t-5"}  # the id that each file gets when it is uploaded
TASKS = (
    *("refund",) * 5,
    "Refund",
    " re\u200bfund ",
    "re  fund\u00e9",
    "re fund\u0065\u0301",
    "b.json",
    "t-1",
    None,
    " ",
    7,
)  # of a file
# What a trace file says of itself: a `failure` event of the recorder, or of another program; a name twice in an object.
RECORDINGS_SAY = (*("",) * 30, *("failed",) * 6, "by hand", "by hand", "twice")
MOST_TRACES = 5
OF_POLICY = (  # thresholds and settings that no input has
    *("min_scenarios", "min_scenario_pass_rate", "max_pass_rate_drop", "reviewers"),
    *("on_outage", "paths", "flaky"),
    *("min_mutation_categories", "required_mutation_categories"),
)
STAGES = ("observe", "soft", "hard")
DAYS = (TODAY, TODAY, TODAY - timedelta(days=1))
FLAKY = tuple({name: str(day)} for name in ("refund", " t-1", "a.json", "re  funde\u0301") for day in DAYS)
ALL_FLAKY = dict.fromkeys(
    ("refund", "Refund", "re fund\u00e9", "t-1", "t-2", "a.json", "b.json", "c.json", "7"), str(TODAY)
)
REVIEWERS = (["ada"], ["Ada", "bob"], [AUTHOR])
RATES = (0.8, 0.9, 0.95)
SCORES = (70, 80)
CATEGORIES = ("auth", "latency", "timeouts", "slow net")
LONG = [*(f"category {number}" for number in range(100)), "auth"]  # is cut
REQUIRED = (["auth"], ["auth", "timeouts"], ["slow  net"], ["category 5"], ["\u115fauth"])
COVERED: tuple[list[str], ...] = (
    [],
    ["auth"],
    ["timeouts"],
    ["au\u200bth", "timeouts"],
    ["slow\u00a0net", "auth"],
    LONG,
)
REJECTED = ("400", "401", "403", "404", "422")  # what no second try changes
# `refused`: there is no connection; `503 429`: these two in turn.
RETRIED = ("408", "425", "429", "500", "503", *("503 429",) * 3, "reset", "refused", "html")
AFTER_DECISION = ("numbers", "failures", "names")  # calls on which no decision depends
LATE_FAULTS = ("404", "429", "500", "reset", "refused", "html", "worse")  # `worse`: numbers and failures that are worse
SCORE_FAULTS = ("401", "403", "404", "429", "503", "503 once", "reset", "list")
BASELINES = ("", "absent", "valid", "forged", "old", "of another branch")
GITHUB_FAULTS = (
    *("graphql", "pulls", "base", "statuses", "comments", "reviews", "requesters", "permission", "files", "limit"),
)


@dataclass(frozen=True, kw_only=True)
class Pull:
    """A pull request whose head is the evaluated commit."""

    number: int
    base: str
    fork: bool = False
    closed: bool = False


@dataclass(frozen=True, kw_only=True)
class Review:
    """A review of the pull request; `old`: of an older commit."""

    login: str
    state: str
    bot: bool = False
    old: bool = False


@dataclass(frozen=True, kw_only=True)
class Published:
    """A status of the gate on a commit of the base branch; `own`: the gate's own account has set it."""

    words: str
    rate: float | None
    score: float | None
    own: bool


@dataclass(frozen=True, kw_only=True)
class Run:
    """What the backend shows of a batch or of one trace: its fields after `waits` polls without a decision.

    `scores` has the answer of the score call for each CI run: a value, or one of SCORE_FAULTS. `rates` has the pass
    rate of each CI run of a batch. `names_runs` lists the responses about a batch that have the ids of its CI runs, of
    `start` and `poll`.
    """

    waits: int
    names_runs: tuple[str, ...]
    fields: Mapping[str, Any]
    scores: tuple[Any, ...]
    rates: tuple[Any, ...]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A fault of the backend's call: one of RETRIED or REJECTED. `seconds` are those of a Retry-After."""

    call: str
    kind: str
    lasting: bool = True
    seconds: int | None = None


@dataclass(frozen=True, kw_only=True)
class World:
    """One run. `policies` has the policy file of each branch, and of the head; None: no file.

    `tasks` has the name of the task in each trace file, None for a file without a task, and `says` one of
    RECORDINGS_SAY.

    `branch` is that of a push or dispatch, and `cause` is the event behind a `workflow_run`, and `stale_base` the base
    that the payload names. `opener` opened each pull request, which has `assignees`, and `commit_authors` of its head.
    `again` are the runs of the second of two runs, a `rerun`.
    `base` has the status on each commit of the base branch, the newest first. `late_faults` has one of LATE_FAULTS for
    calls of AFTER_DECISION. `baseline`, of BASELINES, is the file with the base's results by scenario, '' without it.
    `behind`: the head's policy file is an older one of the base, and not changed by the pull request.
    """

    seed: int = 0
    event: str
    branch: str
    pulls: tuple[Pull, ...]
    cause: str = "pull_request"
    stale_base: str = ""
    deleted: bool = False
    inputs: Mapping[str, Any]
    policies: Mapping[str, Any] = field(default_factory=lambda: dict.fromkeys(PLACES))
    secret: bool = True
    files: tuple[str, ...] = ("README.md",)
    reviews: tuple[Review, ...]
    opener: str = AUTHOR
    assignees: tuple[str, ...] = ()
    commit_authors: tuple[str, ...] = ()
    roles: Mapping[str, str]
    tasks: Mapping[str, Any]
    says: Mapping[str, str] = field(default_factory=dict)
    runs: tuple[Run, ...]
    again: tuple[Run, ...]
    rerun: bool
    base: tuple[Published | None, ...] = ()
    older_statuses: tuple[str, ...] = ()
    fault: Fault | None = None
    late_faults: Mapping[str, str] = field(default_factory=dict)
    github_fault: str = ""
    signal: bool = False
    behind: bool = False
    baseline: str = ""


def make_world(seed: int) -> World:
    """Return the world of a seed. A few of its parts are unusual; most of them are as in most runs."""
    rng = Random(seed)  # noqa: S311 - no secret
    event = rng.choice((*PULL_EVENTS[:1] * 9, *PULL_EVENTS[1:] * 2, "push", "push", MERGED, MERGED, *OTHER_EVENTS))
    traces = rng.choice(TRACES)
    of_inputs = rng.random() < 0.5
    inputs = {"campaign": CAMPAIGN, "timeout": TIMEOUT_S} | _of_inputs(_settings(rng)) | (traces if of_inputs else {})
    if _rarely(rng):
        inputs["trace_fil"] = "a.json"  # a misspelled input
    policies = _policies(rng, rng.choice(({}, {}, {}, {"trace_id": ["t-2"]})) if of_inputs else traces)
    if rng.random() < 0.1:
        policies["head"] = {"campaign": CAMPAIGN, **rng.choice(({"bogus": 1}, {"trace_file": [ABSENT]}))}
    other = Random(-1 - seed)  # noqa: S311 - no secret
    if other.random() < 0.04:  # only the policy has the campaign, and the pull request removes it
        inputs = {name: value for name, value in inputs.items() if name not in {"campaign", "trace_fil"}}
        policy = {"campaign": CAMPAIGN, **_settings(other), **({} if of_inputs else traces)}
        policies = {**dict.fromkeys(policies, policy), "head": {"timeout": TIMEOUT_S}}
    # A world with a focus is one in which one policy applies everywhere, and matters.
    focus = rng.choice(("", "", "", "soft gate", "drop", "recordings", "flaky")) if "campaign" in inputs else ""
    runs = tuple(_run(rng, fails=focus == "soft gate") for _ in range(MOST_TRACES))
    settings: dict[str, Any] = {}
    if focus == "soft gate":
        settings = {"enforcement": "soft"} | _some(rng, 0.3, reviewers=REVIEWERS)
    if focus == "drop":
        settings = {"max_pass_rate_drop": 0.02, "max_unsafe": 3}
    if focus == "recordings":
        traces, settings = rng.choice(RECORDINGS), _of_recordings(rng)
        inputs = {"campaign": CAMPAIGN, "timeout": TIMEOUT_S} | traces
        runs = tuple(_sound(rng, run) for run in runs)
    if focus == "flaky":
        traces = rng.choice(RECORDINGS)
        settings = {"max_failures": 9, "flaky": rng.choice((*FLAKY, ALL_FLAKY, ALL_FLAKY))} | _of_recordings(rng)
        inputs = {"campaign": CAMPAIGN, "timeout": TIMEOUT_S} | traces
        runs = tuple(rng.choice((run, _sound(rng, run), _sound(rng, run))) for run in runs)
    if focus:
        policies = {place: {"campaign": CAMPAIGN, **settings} for place in policies}
    return World(
        seed=seed,
        event=event,
        branch=rng.choice(BRANCHES),
        pulls=_pulls(rng, event),
        cause=rng.choice(("pull_request", "pull_request", "push")),
        stale_base=rng.choice(BRANCHES) if _rarely(rng) else "",
        deleted=event == "push" and _rarely(rng),
        inputs=inputs,
        policies=policies,
        secret=not _rarely(rng),
        files=tuple(rng.sample(("agents/a.py", "prompts/p.md", "README.md"), rng.randint(1, 2))),
        reviews=tuple(_review(rng) for _ in range(rng.choice((0, 1, 2, 3, 4)))),
        opener=rng.choice(OPENERS),
        assignees=tuple(rng.sample(PEOPLE, rng.choice((0, 0, 1)))),
        commit_authors=tuple(rng.sample(PEOPLE, rng.choice((0, 0, 1)))),
        roles={login: rng.choice(("write", "write", "admin", "read")) for login in LOGINS},
        tasks={name: rng.choice(TASKS) for name in FILES},
        says={name: rng.choice(RECORDINGS_SAY) for name in FILES},
        runs=runs,
        again=tuple(_run(rng, fails=False) for _ in range(MOST_TRACES)),
        rerun=rng.random() < 0.4,
        base=tuple(_published(rng) for _ in range(rng.choice((0, 2, 4, 5, 6, 8)))),
        older_statuses=tuple(rng.sample((CONTEXT, "Other / core", FOREIGN), rng.randint(0, 2))),
        fault=_fault(rng) if rng.random() < 0.2 and len(traces) < len(TRACES[-1]) else None,
        late_faults=_some(rng, 0.3, **dict.fromkeys(AFTER_DECISION, LATE_FAULTS)),
        github_fault=rng.choice(GITHUB_FAULTS) if rng.random() < 0.15 else "",
        signal=_rarely(rng),
        behind=rng.random() < 0.2,
        baseline=rng.choice(BASELINES),
    )


def _rarely(rng: Random) -> bool:
    return rng.random() < 0.03


def _some(rng: Random, share: float, **choices: Sequence[Any]) -> dict[str, Any]:
    return {name: rng.choice(values) for name, values in choices.items() if rng.random() < share}


def _settings(rng: Random) -> dict[str, Any]:
    enforcement = _some(rng, 0.6, enforcement=(*STAGES, "soft"))
    on_outage = _some(rng, 0.4, on_outage=("allow", "allow", "block"))
    thresholds = _some(
        rng,
        0.2,
        min_pass_rate=RATES,
        max_unsafe=(0, 1, 2),
        max_failures=(0, 3),
        min_scenarios=(1, 2, 3),
        min_scenario_pass_rate=(*RATES, 0.5),
        min_reliability_score=SCORES,
        max_pass_rate_drop=(0.02, 0.03),
        reviewers=REVIEWERS,
    )
    rare = _some(
        rng,
        0.06,
        min_mutation_categories=(1, 2, 3),
        required_mutation_categories=REQUIRED,
        paths=(["agents/**"], ["agents/**", "!agents/a.py"]),
        comment=("always", "on_failure", "never"),
    )
    return enforcement | on_outage | thresholds | rare


def _of_inputs(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name not in OF_POLICY}


def _policies(rng: Random, traces: Mapping[str, Any]) -> dict[str, Any]:
    """Return the policy files: often none, often the same everywhere, else different ones."""
    same = None if rng.random() < 0.35 else _policy(rng, traces)
    policies: dict[str, Any] = dict.fromkeys(PLACES, same)
    for place in PLACES:
        if rng.random() < 0.15:
            policies[place] = None if rng.random() < 0.3 else _policy(rng, traces)
    return policies


def _policy(rng: Random, traces: Mapping[str, Any]) -> dict[str, Any]:
    """Return a policy file; thresholds are in it where the file has them. `bogus` is no key of it."""
    settings = {"campaign": CAMPAIGN, **_settings(rng), **traces}
    settings |= _some(rng, 0.4 if traces else 0.03, flaky=FLAKY)
    if _rarely(rng):
        settings["bogus"] = 1
    return settings


def _pulls(rng: Random, event: str) -> tuple[Pull, ...]:
    bases = [rng.choice(BRANCHES) for _ in range(rng.choice((0, 1, 1, 1, 2)))]
    if event in {*PULL_EVENTS, MERGED}:
        bases = [rng.choice(BRANCHES)]
    closed = event == "workflow_run" and rng.random() < 0.3
    forks = 0 if event == MERGED else 0.25
    return tuple(
        Pull(number=number, base=base, fork=rng.random() < forks, closed=closed) for number, base in enumerate(bases, 1)
    )


def _review(rng: Random) -> Review:
    login = rng.choice((*LOGINS, "ada", "ada", "ada"))
    state = rng.choice(("APPROVED", "APPROVED", "APPROVED", "CHANGES_REQUESTED", "DISMISSED", "DISMISSED", "COMMENTED"))
    return Review(login=login, state=state, bot=login.endswith("[bot]"), old=rng.random() < 0.15)


def _published(rng: Random) -> Published | None:
    words = rng.choice(("pass (hard)",) * 7 + ("fail (hard)",) * 3 + ("error (hard)",))
    rate, score = rng.choice((0.9, 0.92, 0.93, 0.95, 0.96, 1.0, None)), rng.choice((70.0, 77.5, 80.0, 82.5, 90.0, None))
    return Published(words=words, rate=rate, score=score, own=rng.random() < 0.9) if rng.random() < 0.9 else None


def _run(rng: Random, *, fails: bool) -> Run:
    """Return a run that mostly passes, with numbers on the limits and next to them."""
    decision = rng.choice(("pass",) * 12 + ("fail", "fail", "pending", None, "maybe"))
    decision = "fail" if fails else decision
    status = rng.choice(("done",) * 6 + ("completed", None, "running", "failed", "cancelled", "paused"))
    if decision == "pass" and rng.random() < 0.9:
        status = "done"
    limit = rng.choice(RATES)
    rate = rng.choice(
        (1, 1.0, 0.97, 0.95, 0.93, 0.92, 0.91, 0.9, limit, limit, limit - 1e-9, limit + 1e-9, limit - 1e-12)
    )
    points = rng.choice(SCORES)
    score = rng.choice((None, None, None, 0.9, 95, 82.5, *(points, points - 1e-7, points + 1e-7), 77.5, 1, 1.0))
    scores = tuple(
        rng.choice(("null", 0.9, 95, 82.5, *SCORES, 79.9, "61.5%", *SCORE_FAULTS))
        for _ in range(rng.choice((1, 1, 2, 3)))
    )
    fields: dict[str, Any] = {
        "status": status,
        "decision": decision,
        "pass_rate": rate,
        "unsafe_attempts": rng.choice((0, 0, 0, 0, 0, 0, 1, 2, 3)),
        "failures": rng.choice((0, 0, 1, 2, 3, 4)),
        "reliability_score": score,
        "mutation_categories": rng.choice((None, None, *COVERED, list(CATEGORIES))),
        "trace_count": rng.choice((None, None, len(scores), len(scores), 0, 1, 2, 3, -1, 2.5)),
    }
    for name in fields:
        if name not in {"status", "decision"} and _rarely(rng):
            fields[name] = rng.choice((None, "0.95", True, [1], -1, 6150.5, {"a": 1}))
    names_runs = rng.choice((("start", "poll"), ("start",), ("poll",), ()))
    rates = tuple(
        None if _rarely(rng) else "0.9" if _rarely(rng) else rng.choice((1, 1, 1, 0.97, 0.95, limit, limit - 1e-9, 0.6))
        for _ in scores
    )
    return Run(waits=rng.choice((0, 1, 2)), names_runs=names_runs, fields=fields, scores=scores, rates=rates)


def _of_recordings(rng: Random) -> dict[str, Any]:
    """Return thresholds that an evaluation of several recordings may miss although each run passes."""
    return {"min_pass_rate": 0.5, "max_unsafe": 9} | _some(
        rng,
        0.4,
        min_scenarios=(2, 3),
        min_scenario_pass_rate=(0.75, 0.8, 0.9),
        min_reliability_score=SCORES,
        min_mutation_categories=(2, 3),
        required_mutation_categories=REQUIRED,
    )


def _sound(rng: Random, run: Run) -> Run:
    rate = rng.choice((1, 0.95, 0.9, 0.8, 0.7, 0.5))
    fields: dict[str, Any] = {"status": "done", "decision": "pass", "pass_rate": rate}
    fields["mutation_categories"] = rng.choice(COVERED)
    fields["unsafe_attempts"] = None if _rarely(rng) else rng.choice((0, 0, 0, 4, 5))
    fields["reliability_score"] = rng.choice((None, 60, 75, 80, 95))
    return replace(run, fields={**run.fields, **fields})


def _fault(rng: Random) -> Fault:
    call = rng.choice(("campaigns", "upload", "start", "poll"))
    if rng.random() < 0.4:
        return Fault(call=call, kind=rng.choice(REJECTED))
    kind = rng.choice(RETRIED)
    seconds = rng.choice((None, 1, 9_999)) if kind in {"429", "503"} else None
    lasting = seconds == 9_999 or rng.random() < 0.7  # so long a wait for one call would end one of several runs
    return Fault(call=call, kind=kind, lasting=lasting, seconds=seconds)
