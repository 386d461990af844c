"""Runs the whole step in a world: in this process, without a socket, and with clocks that no one waits for.

GitHub is replaced below PyGithub, and the backend below requests, so everything of the package runs except `__main__`.
"""

import io
import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import SplitResult, parse_qs, urlsplit

import requests
import urllib3

from sepurux_action.app import run_step
from sepurux_action.config.settings import Call
from sepurux_action.errors import Interrupted
from sepurux_action.evaluation.api import Transport
from sepurux_action.evaluation.results import VERSION, Result, write_results
from sepurux_action.evaluation.runs import BaseScenario, Decision
from sepurux_action.flow.execution import Connections
from sepurux_action.host.deadlines import Signals, Timeouts
from tests import backend as be
from tests.fakes import FakeClock, FakeEngine
from tests.github_double import BOT, GitHub
from tests.github_double.faults import broken, refused
from tests.github_double.in_process import connected
from tests.github_double.rest import pull_json, repository_json
from tests.github_double.state import Comment, Commit, PullRequest, Status
from tests.runner import file_pairs, input_variable
from tests.worlds import worlds
from tests.worlds.worlds import AUTHOR, CAMPAIGN, CONTEXT, FILES, MERGED, PULL_EVENTS, Published, Pull, Run, World

T = TypeVar("T")
Json = dict[str, Any]
REPOSITORY, FORK = "octo/shop", "mallory/shop"
CONFIG = ".github/sepurux-gate.yml"
TIPS = {"main": "a" * 40, "release/1": "b" * 40, "dev": "c" * 40}
HEAD, OLD_HEAD, GROUP = "5" * 40, "4" * 40, "6" * 40
FIRST_RUN = 7_100_001
CAMPAIGN_ID = "c0de0000-0000-4000-8000-000000000001"
OLDER = "pass (hard): 91.0% passed, 0 unsafe, 2 failures, score 88.0"
SECRET = "made-up-secret"
LATER = ".later"
FAILURE = json.dumps({"type": "failure", "error": {"message": "not met: refunds once"}})
HTML = object()  # for `_respond`: a page in place of JSON
THRESHOLDS = ("min_", "max_", "required_")
RESPONSES = requests.adapters.HTTPAdapter()
LIMITED = {"data": None, "errors": [{"type": "RESOURCE_LIMITS_EXCEEDED", "message": "too large"}]}
# The operations that a fault of GitHub concerns, their answers if they are not 403, and the fields that it denies.
FAULTS = {
    "graphql": ("graphql *",),
    "pulls": ("pulls/list",),
    "statuses": ("repos/list-commit-statuses-for-ref", "repos/create-commit-status"),
    "comments": ("issues/*",),
    "reviews": ("pulls/list-reviews",),
    "permission": ("repos/get-collaborator-permission-level",),
    "files": ("repos/compare-commits-with-basehead",),
    "limit": ("graphql base",),
}
ANSWERS = {"graphql": broken(), "limit": be.json(LIMITED)}
DENIED_FIELDS = {"base": ["Commit.status"], "requesters": ["Commit.authors"]}


@dataclass(frozen=True, kw_only=True)
class Observed:
    """What a run did, the last one if there are two: how many CI runs it `started`, and the rest as GitHub shows it.

    `sent` are the thresholds of the last start.
    `statuses` maps contexts of the evaluated commit to states; `description` is that of the gate.
    """

    exit_status: int
    outputs: Mapping[str, str]
    statuses: Mapping[str, str]
    description: str
    comments: int
    log: str
    started: int
    sent: Mapping[str, Any]


def run_world(world: World, folder: Path) -> Observed:
    """Return what the step does in a world. `folder` is the workspace of the step, in which nothing else is."""
    github = WorldGitHub(world)
    with connected(github.double):
        if world.rerun:
            run_on(github, world, folder / "first", (FIRST_RUN, 1))
        return run_on(github, world, folder / "last", (FIRST_RUN, 2 if world.rerun else 1))


def run_on(
    github: "WorldGitHub", world: World, folder: Path, workflow_run: tuple[int, int], signals: Signals | None = None
) -> Observed:
    """Return what one run of the step does, while PyGithub is connected; `github` keeps what earlier runs left there.

    `workflow_run` has the id and the attempt.
    """
    run_id, attempt = workflow_run
    folder.mkdir(exist_ok=True)
    github.show(world)
    signals, log = signals or Signals(), io.StringIO()
    backend = Backend(world, github, signals, rerun=attempt > 1)
    connections = Connections(
        transport=partial(Transport, adapter=backend),
        engine=lambda send, _: FakeEngine(lambda call, _now: send(call, 10.0), signals=signals),
        timeouts=partial(InstantTimeouts, github=github),
        now=lambda: datetime.combine(worlds.TODAY, time(14, 2), UTC),
    )
    of_run = {"GITHUB_RUN_ID": str(run_id), "GITHUB_RUN_ATTEMPT": str(attempt)}
    environ = _environment(world, folder, github) | of_run
    status = run_step(environ, log, signals, connections)
    outputs = dict(file_pairs((folder / "outputs").read_text(encoding="utf-8")))
    statuses, newest = github.statuses(), github.repository.statuses_of(github.evaluated)
    return Observed(
        exit_status=status,
        outputs=outputs,
        statuses={context: each.state for context, each in statuses.items()},
        description=next((each.description or "" for each in newest if each.context.startswith(CONTEXT)), ""),
        comments=github.comments(),
        log=log.getvalue(),
        started=backend.started,
        sent=backend.sent,
    )


class InstantTimeouts(FakeClock):
    """Runs work at once, and waits for nothing. After a signal, the step makes real ones."""

    def __init__(self, signals: Signals, github: "WorldGitHub") -> None:
        Timeouts.__init__(self, signals)
        self.time, self._github = 0.0, github

    def run(self, _: float, work: Callable[[], T]) -> T:
        if self._signals.received:
            raise Interrupted
        self._github.between("github")
        return work()


def _environment(world: World, folder: Path, github: "WorldGitHub") -> dict[str, str]:
    texts = {name: "\n".join(value) if isinstance(value, list) else str(value) for name, value in world.inputs.items()}
    texts |= {"token": SECRET if world.secret else "", "base_url": "http://127.0.0.1:1", "github_token": github.token}
    tasks = {name: {} if task is None else {"task": {"name": task}} for name, task in world.tasks.items()}
    files = {name: json.dumps({"events": [name], **tasks[name]}) for name in FILES}
    for name, text in files.items():
        said = world.says.get(name, "")
        recorder = (
            '"recorder": "sepurux-recorder",' if said == "failed" else '"a": 1, "a": 1,' if said == "twice" else ""
        )
        files[name] = text.replace("{", "{" + recorder, 1)
        if said in {"failed", "by hand"}:
            files[name] = files[name].replace(f'["{name}"]', f'["{name}", {FAILURE}]')
    files |= {"event.json": json.dumps(_payload(world, github)), "outputs": ""}
    if world.baseline:
        texts["baseline_dir"] = "kept"
        (folder / "kept").mkdir()
        if world.baseline != "absent":
            files["kept/baseline.json"] = _baseline(world.baseline)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    branch = world.branch if world.event in {"push", "workflow_dispatch"} else "main"
    return {
        "GITHUB_ACTIONS": "true",
        "GITHUB_ACTOR": AUTHOR,
        "GITHUB_API_URL": "https://api.github.com",
        "GITHUB_EVENT_NAME": world.event,
        "GITHUB_EVENT_PATH": str(folder / "event.json"),
        "GITHUB_OUTPUT": str(folder / "outputs"),
        "GITHUB_REF": f"refs/heads/{branch}",
        "GITHUB_REPOSITORY": REPOSITORY,
        "GITHUB_SERVER_URL": "https://github.com",
        "GITHUB_SHA": HEAD,
        "GITHUB_STEP_SUMMARY": str(folder / "summary"),
        "GITHUB_WORKSPACE": str(folder),
        **{input_variable(name): text for name, text in texts.items()},
    }


@cache
def _baseline(kind: str) -> str:
    """Return a file in which each scenario always passed, three times, of each branch or of another one."""
    known = tuple(BaseScenario(name=str(name), pass_rate=1.0, steps=(Call("a"),)) for name in {*FILES, *worlds.TASKS})
    other = kind == "of another branch"
    numbers = {"pass_rate": 1.0, "unsafe_attempts": 0.0, "failures": 0.0, "reliability_score": 100.0}
    results = [
        Result(
            origin=(CAMPAIGN, CAMPAIGN, "", "", "nowhere" if other else branch),
            commit=tip,
            decision=Decision.PASS,
            numbers=numbers,
            scenarios=known,
        )
        for branch, tip in TIPS.items()
        for _ in range(3)
    ]
    written = write_results(results, "forged" if kind == "forged" else SECRET, REPOSITORY)
    return written.replace(f"baseline@{VERSION}", "baseline@0") if kind == "old" else written


def _payload(world: World, github: "WorldGitHub") -> Json:
    payload: Json = {"repository": repository_json(github.repository)}
    if world.event in PULL_EVENTS:
        shown = github.repository.pulls[world.pulls[0].number]
        base_ref = world.stale_base or shown.base_ref
        tip = github.repository.branches[base_ref]
        payload["pull_request"] = pull_json(replace(shown, base=tip, base_ref=base_ref))
    elif world.event == MERGED:
        pull = world.pulls[0]
        queue = f"refs/heads/gh-readonly-queue/{pull.base}/pr-1-{TIPS[pull.base]}"
        base = {"base_ref": f"refs/heads/{pull.base}", "base_sha": TIPS[pull.base]}
        payload["merge_group"] = {"head_sha": GROUP, "head_ref": queue, **base}
    elif world.event == "push":
        payload |= {"ref": f"refs/heads/{world.branch}", "after": "0" * 40 if world.deleted else HEAD}
        payload["deleted"] = world.deleted
    elif world.event == "workflow_run":
        head = {"full_name": FORK if world.pulls and world.pulls[0].fork else REPOSITORY}
        started = {"event": "pull_request", "head_sha": HEAD, "head_branch": "topic", "head_repository": head}
        if world.cause == "push":
            started |= {"event": "push", "head_branch": "main", "head_repository": {"full_name": REPOSITORY}}
        payload["workflow_run"] = started
    return payload


def _policy_text(policy: Mapping[str, Any]) -> str:
    """Return a policy file with these settings. JSON is YAML, but a date of YAML has no quotes."""
    text: Json = {name: value for name, value in policy.items() if not name.startswith(THRESHOLDS)}
    text["thresholds"] = {name: value for name, value in policy.items() if name.startswith(THRESHOLDS)}
    return json.dumps({name: value for name, value in text.items() if value != {}})


class Backend(requests.adapters.BaseAdapter):
    """The CI API. The first poll brings the signal of a world that has one.

    The ids of what is started for a second time, or in a `rerun`, end in LATER.
    """

    def __init__(self, world: World, github: "WorldGitHub", signals: Signals, *, rerun: bool) -> None:
        super().__init__()
        self.started, self.sent = 0, Json()
        self._rerun = rerun
        self._world, self._github, self._signals = world, github, signals
        self._taken: Counter[str] = Counter()

    def send(self, request: requests.PreparedRequest, *_: object, **__: object) -> requests.Response:
        path = urlsplit(str(request.url))
        call = _call_of(str(request.method), path.path)
        self._taken[call] += 1
        self._github.between("backend")
        self._github.before(call, b"")
        if call == "poll" and self._world.signal:
            self._signals.receive(15)
        fault = self._world.fault
        if fault and fault.call == call and (fault.lasting or self._taken[call] == 1):
            kinds = fault.kind.split()
            return _fail(request, kinds[self._taken[call] % len(kinds)], fault.seconds)
        if kind := self._world.late_faults.get(call):
            return _respond(request, _worse(path)) if kind == "worse" else _fail(request, kind)
        body = request.body if isinstance(request.body, bytes) else b"".join(request.body or ())  # type: ignore[arg-type]
        match call:
            case "campaigns":
                return _respond(request, [{"campaign_id": CAMPAIGN_ID, "name": CAMPAIGN}])
            case "upload":
                name, *_ = json.loads(body)["events"]
                return _respond(request, {"trace_id": FILES[name]})
            case "start":
                self.sent = json.loads(body)["thresholds"]
                return _respond(request, self._started(json.loads(body).get("trace_id")))
            case "poll" | "numbers":
                shown = self._polled if call == "poll" else self._numbers
                return _respond(request, shown(path.path.rsplit("/", 1)[1]))
            case "score":
                return self._score(request, parse_qs(path.query)["run_id"][0])
        return _respond(request, [])

    def close(self) -> None:
        pass

    def _started(self, trace: str | None) -> Json:
        self.started += 1
        self._taken[f"start of {trace}"] += 1
        later = LATER if self._rerun or self._taken[f"start of {trace}"] > 1 else ""
        return {"run_id": f"run-{trace}{later}"} if trace else self._batch("start", later)

    def _batch(self, response: str, later: str) -> Json:
        run = self._run(later)
        named = {"run_ids": [f"run-{number}{later}" for number in range(len(run.scores))]}
        return {"batch_id": f"batch{later}", **(named if response in run.names_runs else {})}

    def _run(self, name: str) -> Run:
        runs = self._world.again if name.endswith(LATER) else self._world.runs
        of_trace = re.match(r"run-t-(\d)", name)
        return runs[int(of_trace[1]) - 1 if of_trace else 0]

    def _polled(self, name: str) -> Json:
        self._taken[name] += 1
        later = LATER if name.endswith(LATER) else ""
        ids = self._batch("poll", later) if name.startswith("batch") else {"run_id": name}
        run = self._run(name)
        return {**ids, "status": "running"} if self._taken[name] <= run.waits else {**ids, **run.fields}

    def _numbers(self, name: str) -> Json:
        run, place = self._run(name), int(name.removeprefix("run-").removesuffix(LATER))
        return {"run_id": name, **run.fields, "pass_rate": run.rates[place]}

    def _score(self, request: requests.PreparedRequest, run: str) -> requests.Response:
        place = run.removeprefix("run-").removesuffix(LATER)
        answer = self._run(run).scores[int(place) if place.isdigit() else 0]
        self._taken[f"score of {run}"] += 1
        if answer == "503 once":
            answer = "503" if self._taken[f"score of {run}"] == 1 else 0.8
        if answer == "list":
            return _respond(request, [])
        if answer in {"401", "403", "404", "429", "503", "reset"}:
            return _fail(request, str(answer))
        return _respond(request, {"reliability_score": None if answer == "null" else answer})


def _worse(path: SplitResult) -> object:
    """Return the failures of a run, or the numbers of a scenario, on which no decision depends."""
    if run_ids := parse_qs(path.query).get("run_id"):
        return [{"run_id": run_ids[0], "type": "unsafe_action", "severity": "critical"}]
    return {"run_id": path.path.rsplit("/", 1)[1], "decision": "fail", "pass_rate": 0, "unsafe_attempts": 9}


def _call_of(method: str, path: str) -> str:
    if method == "POST":
        return "upload" if path == "/v1/traces" else "start"
    if path.startswith("/v1/ci/"):
        return "numbers" if re.search(r"/run-\d(\.later)?$", path) else "poll"
    if path.startswith("/v1/traces/"):
        return "names"
    last = path.rsplit("/", 1)[1]
    return {"campaigns": "campaigns", "reliability": "score"}.get(last, last)


def _fail(request: requests.PreparedRequest, kind: str, seconds: int | None = None) -> requests.Response:
    if kind == "refused":
        raise requests.ConnectTimeout
    if kind == "reset":
        raise requests.ConnectionError(urllib3.exceptions.ProtocolError("aborted", ConnectionResetError()))
    if kind == "html":
        return _respond(request, HTML)
    return _respond(request, {"detail": "no"}, int(kind), {} if seconds is None else {"Retry-After": str(seconds)})


def _respond(
    request: requests.PreparedRequest, payload: object, status: int = 200, headers: Mapping[str, str] = {}
) -> requests.Response:
    content = b"<html>" if payload is HTML else json.dumps(payload).encode()
    raw = urllib3.HTTPResponse(body=io.BytesIO(content), status=status, headers=headers, preload_content=False)
    return RESPONSES.build_response(request, raw)


class WorldGitHub:
    """The double of GitHub in the state of a world. Statuses and comments stay when another world is shown.

    `before` is called with each call, of the backend too, and what it sends; an operation of GitHub has its name.
    `between` is called with whose the next call is, outside of PyGithub, which has a lock for all its clients.
    """

    def __init__(self, world: World) -> None:
        self.double = GitHub()
        self.double.arrived = lambda record: self.before(record.operation, record.body)
        self.token = self.double.token()
        self.before: Callable[[str, bytes], None] = lambda _call, _body: None
        self.between: Callable[[str], None] = lambda _of: None
        self._comments = defaultdict[int, list[Comment]](list)
        self.repository = self.double.repository(REPOSITORY)
        self._fork = self.repository.fork("mallory")
        self._make_commits(world)
        self.evaluated = GROUP if world.event == MERGED else HEAD
        for context in world.older_statuses:
            self.repository.status(self.evaluated, "success", context, "ok" if context == worlds.FOREIGN else OLDER)
        self.show(world)

    def show(self, world: World) -> None:
        self.world = world
        for login, role in world.roles.items():
            self.repository.collaborator(login, role)
        self.repository.pulls = {pull.number: self._pull(pull) for pull in world.pulls}
        denied = world.github_fault
        self.double.denied = DENIED_FIELDS.get(denied, ())
        self.double.faults.clear()
        for operation in FAULTS.get(denied, ()):
            self.double.fault(operation, ANSWERS.get(denied, refused(403, "refused")), always=True)

    def statuses(self) -> Mapping[str, Status]:
        return {status.context: status for status in self.repository.latest_statuses(self.evaluated)}

    def set_status(self, context: str, state: str, description: str, url: str = "", *, creator: str = BOT) -> None:
        self.repository.status(self.evaluated, state, context, description, creator=creator).target_url = url

    def comments(self) -> int:
        return sum(map(len, self._comments.values()))

    def _pull(self, pull: Pull) -> PullRequest:
        user, commits = self.double.world.user, self.repository.commits
        opener = self.world.opener
        made = PullRequest(
            repository=self.repository,
            number=pull.number,
            author=user(opener if opener in worlds.PEOPLE else f"{opener}[bot]"),
            head_repository=self._fork if pull.fork else self.repository,
            head_ref="topic",
            head=commits[HEAD],
            base_ref=pull.base,
            base=commits[TIPS[pull.base]],
            state="closed" if pull.closed else "open",
            comments=self._comments[pull.number],
            assignees=list(map(user, self.world.assignees)),
        )
        for review in self.world.reviews:
            made.review(review.login, review.state, sha=OLD_HEAD if review.old else HEAD)
        return made

    def _make_commits(self, world: World) -> None:
        """Add the line of each base branch, which all have the same results, and the commits of the pull requests."""
        policies = {name: None if policy is None else _policy_text(policy) for name, policy in world.policies.items()}
        forked = policies["head"] if world.behind else "older"
        newest, *older = *(world.base or (None,)), None
        line: tuple[Commit, ...] = ()
        for index, result in reversed(list(enumerate(older, 2))):
            line = (self._commit(f"{index:040x}", *line, policy=forked, result=result),)
        for branch, sha in TIPS.items():
            self.repository.branches[branch] = self._commit(sha, *line, policy=policies.get(branch), result=newest)
        # The parent of the head is on no branch, so that a pull request has changes since the commit before it.
        line = (self._commit(f"{1:040x}", *line, policy=forked, result=newest),)
        self._commit(OLD_HEAD, *line, policy=forked)
        changed = dict.fromkeys(world.files, b"changed")
        queue = [self.repository.commits[TIPS[pull.base]] for pull in world.pulls[:1]]
        for sha, parents in ((HEAD, line), (GROUP, queue)):
            commit = self._commit(sha, *parents, policy=policies["head"], files=changed)
            commit.authors = tuple(map(self.double.world.user, world.commit_authors)) or (None,)

    def _commit(
        self,
        sha: str,
        *parents: Commit,
        policy: str | None,
        result: Published | None = None,
        files: Mapping[str, bytes] = {},
    ) -> Commit:
        tree = files if policy is None else {**files, CONFIG: policy.encode()}
        commit = Commit(self.repository, sha, len(self.repository.commits), parents, tree)
        self.repository.commits[sha] = commit
        if result is not None:
            rate = "-" if result.rate is None else f"{result.rate:.1%}"
            score = "-" if result.score is None else result.score
            description = f"{result.words}: {rate} passed, 0 unsafe, 1 failure, score {score}"
            for context in (CONTEXT, *(f"{CONTEXT} ({branch})" for branch in TIPS)):
                self.repository.status(sha, "success", context, description, creator=BOT if result.own else "mallory")
        return commit
