"""Runs the whole step in a world: in this process, without a socket, and with clocks that no one waits for.

GitHub is replaced below PyGithub, and the backend below requests, so everything of the package runs except `__main__`.
"""

from __future__ import annotations

import io
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, time
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

import requests
import urllib3
from github.Requester import Requester
from graphql import GraphQLResolveInfo, execute_sync, parse

from sepurux_action.app import run_step
from sepurux_action.baseline import write_results
from sepurux_action.errors import Interrupted
from sepurux_action.evaluation.base_results import BaseResult, BaseScenario
from sepurux_action.evaluation.decision import Decision
from sepurux_action.evaluation.transport import Transport
from sepurux_action.host.deadlines import Signals, Timeouts
from sepurux_action.step import Connections
from tests.fakes import FakeApiCalls, done
from tests.github_double.description import graphql_schema
from tests.runner import file_pairs, input_variable
from tests.worlds.worlds import (
    AUTHOR,
    CAMPAIGN,
    CONTEXT,
    FILES,
    FOREIGN,
    MERGED,
    PEOPLE,
    PULL_EVENTS,
    TASKS,
    TODAY,
    Published,
    Pull,
    Review,
    Run,
    World,
)

T = TypeVar("T")
Json = dict[str, Any]

REPOSITORY, FORK = "octo/shop", "mallory/shop"
CONFIG = ".github/sepurux-gate.yml"
TIPS = {"main": "a" * 40, "release/1": "b" * 40, "dev": "c" * 40}
HEAD, OLD_HEAD, GROUP = "5" * 40, "4" * 40, "6" * 40
BOT = {"__typename": "Bot", "login": "github-actions"}
FIRST_RUN = 7_100_001
CREATED = "2027-03-10T14:02:00Z"
CAMPAIGN_ID = "c0de0000-0000-4000-8000-000000000001"
OLDER = "pass (hard): 91.0% passed, 0 unsafe, 2 failures, score 88.0"
SECRET, GITHUB_TOKEN = "made-up-secret", "made-up-token"
LATER = ".later"
THRESHOLDS = ("min_", "max_", "required_")
RESPONSES = requests.adapters.HTTPAdapter()
SCHEMA, PARSED = cache(graphql_schema), cache(parse)


@dataclass(frozen=True, kw_only=True)
class Observed:
    """What a run did, the last one if there are two: how many CI runs it `started`, and the rest as GitHub shows it.

    `sent` are the thresholds of the last start.
    `statuses` maps contexts of the evaluated commit to states; `description` is that of CONTEXT.
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
    github = GitHub(world)
    if world.actor:
        run_on(github, world, folder / "first", (FIRST_RUN, 1))
    return run_on(github, world, folder / "last", (FIRST_RUN, 2 if world.actor else 1))


def run_on(
    github: GitHub, world: World, folder: Path, workflow_run: tuple[int, int], signals: Signals | None = None
) -> Observed:
    """Return what one run of the step does; `github` keeps what earlier runs left there.

    `workflow_run` has the id and the attempt.
    """
    run_id, attempt = workflow_run
    folder.mkdir(exist_ok=True)
    github.world, github.limited = world, False
    signals, log = signals or Signals(), io.StringIO()
    backend = Backend(world, github, signals, rerun=attempt > 1)
    connections = Connections(
        transport=partial(Transport, adapter=backend),
        calls=lambda send, _: FakeApiCalls(lambda call, _now: send(call, 10.0), signals=signals),
        timeouts=partial(InstantTimeouts, github=github),
        now=lambda: datetime.combine(TODAY, time(14, 2), UTC),
    )
    of_run = {"GITHUB_RUN_ID": str(run_id), "GITHUB_RUN_ATTEMPT": str(attempt)}
    environ = _environment(world, folder) | of_run
    with github.connected():
        status = run_step(environ, log, signals, connections)
    if github.defects:
        raise github.defects[0]
    outputs = dict(file_pairs((folder / "outputs").read_text(encoding="utf-8")))
    statuses = {each["context"]: each["state"] for each in github.statuses}
    descriptions = {each["context"]: each["description"] for each in github.statuses}
    return Observed(
        exit_status=status,
        outputs=outputs,
        statuses=statuses,
        description=descriptions.get(CONTEXT, ""),
        comments=len(github.comments),
        log=log.getvalue(),
        started=backend.started,
        sent=backend.sent,
    )


class InstantTimeouts(Timeouts):
    """Runs work at once, and waits for nothing. After a signal, the step makes real ones."""

    def __init__(self, signals: Signals, github: GitHub) -> None:
        super().__init__(signals)
        self._time, self._github = 0.0, github

    def now(self) -> float:
        return self._time

    def run_side_by_side(self, works: Iterable[tuple[float, Callable[[], T]]]) -> list[Future[T]]:
        futures = []
        for _, work in works:
            if self._interrupted:
                raise Interrupted
            self._github.between("github")
            futures.append(done(work))
        return futures

    def pause(self, seconds: float) -> None:
        self._time += seconds


# --- What GitHub gives the step --------------------------------------------------------------------------------------


def _environment(world: World, folder: Path) -> dict[str, str]:
    texts = {name: "\n".join(value) if isinstance(value, list) else str(value) for name, value in world.inputs.items()}
    texts |= {"token": SECRET if world.secret else "", "base_url": "http://127.0.0.1:1", "github_token": GITHUB_TOKEN}
    if world.number:
        texts["pr_number"] = str(world.number)
    files = {name: json.dumps(_trace(world, name)) for name in FILES}
    files |= {"event.json": json.dumps(_payload(world)), "outputs": ""}
    if (policy := world.policies["checkout"]) is not None:
        files[CONFIG] = _policy_text(policy)
        (folder / ".github").mkdir()
    if world.baseline:
        texts["baseline_dir"] = "kept"
        (folder / "kept").mkdir()
        if world.baseline != "absent":
            files["kept/baseline.json"] = _baseline(world)
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
        "GITHUB_TRIGGERING_ACTOR": world.actor,
        "GITHUB_WORKSPACE": str(folder),
        **{input_variable(name): text for name, text in texts.items()},
    }


def _trace(world: World, name: str) -> Json:
    task = world.tasks[name]
    return {"events": [name], **({} if task is None else {"task": {"name": task}})}


def _baseline(world: World) -> str:
    """Return a file in which each scenario always passed, of each branch or of another one."""
    known = tuple(BaseScenario(name=str(name), pass_rate=1.0, steps=("1 a()",)) for name in {*FILES, *TASKS})
    other = world.baseline == "of another branch"
    results = [
        BaseResult(
            gate=CAMPAIGN,
            campaign=CAMPAIGN,
            branch="nowhere" if other else branch,
            commit=tip,
            time=1,
            decision=Decision.PASS,
            scenarios=known,
        )
        for branch, tip in TIPS.items()
    ]
    written = write_results(results, "forged" if world.baseline == "forged" else SECRET, REPOSITORY)
    return written.replace("baseline@1", "baseline@0") if world.baseline == "old" else written


def _payload(world: World) -> Json:
    payload: Json = {"repository": {"id": 1, "full_name": REPOSITORY, "default_branch": "main"}}
    if world.event in PULL_EVENTS:
        pull = world.pulls[0]
        payload["pull_request"] = _rest_pull(pull, world.stale_base or pull.base)
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
        payload["workflow_run"] = started
    elif world.event == "issue_comment":
        payload["issue"] = {"number": 1, "pull_request": {"url": "https://api.github.com"}}
    return payload


def _policy_text(policy: Mapping[str, Any]) -> str:
    """Return a policy file with these settings. JSON is YAML, but a date of YAML has no quotes."""
    text: Json = {name: value for name, value in policy.items() if not name.startswith(THRESHOLDS) and name != "paths"}
    text["thresholds"] = {name: value for name, value in policy.items() if name.startswith(THRESHOLDS)}
    if "paths" in policy:
        text["gates"] = [{"campaign": CAMPAIGN, "paths": policy["paths"]}]
    return json.dumps({name: value for name, value in text.items() if value != {}})


def _rest_pull(pull: Pull, base: str, opener: str = AUTHOR) -> Json:
    source = FORK if pull.fork else REPOSITORY
    return {
        "number": pull.number,
        "state": "closed" if pull.closed else "open",
        "user": {"login": opener, "type": "User" if opener in PEOPLE else "Bot"},
        "head": {"sha": HEAD, "ref": "topic", "repo": {"full_name": source}},
        "base": {"sha": TIPS[base], "ref": base, "repo": {"full_name": REPOSITORY}},
    }


# --- The backend -----------------------------------------------------------------------------------------------------


class Backend(requests.adapters.BaseAdapter):
    """The CI API. The first poll brings the signal of a world that has one.

    The ids of what is started for a second time, or in a `rerun`, end in LATER.
    """

    def __init__(self, world: World, github: GitHub, signals: Signals, *, rerun: bool) -> None:
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
        self._github.before(call, {})
        if call == "start":
            self._github.retargeted = self._world.retargeted
        if call == "poll" and self._world.signal:
            self._signals.receive(15)
        fault = self._world.fault
        if fault and fault.call == call and (fault.lasting or self._taken[call] == 1):
            return _fail(request, fault.kind, fault.seconds)
        if kind := self._world.late_faults.get(call):
            return _respond(request, _worse(path)) if kind == "worse" else _fail(request, kind)
        body = request.body if isinstance(request.body, bytes) else b"".join(request.body or ())  # type: ignore[arg-type]
        match call:
            case "campaigns":
                return _respond(request, [{"campaign_id": CAMPAIGN_ID, "name": CAMPAIGN}])
            case "upload":
                [name] = json.loads(body)["events"]
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
        return _respond(request, None, text="<html>")
    return _respond(request, {"detail": "no"}, int(kind), {} if seconds is None else {"Retry-After": str(seconds)})


def _respond(
    request: requests.PreparedRequest,
    payload: object,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    text: str = "",
) -> requests.Response:
    content = (text or json.dumps(payload)).encode()
    raw = urllib3.HTTPResponse(body=io.BytesIO(content), status=status, headers=headers, preload_content=False)
    return RESPONSES.build_response(request, raw)


# --- GitHub ----------------------------------------------------------------------------------------------------------


class Refused(Exception):
    """GitHub refuses a call; the argument is the status."""


class GitHub:
    """GitHub's REST and GraphQL calls over a world; it keeps the statuses of the evaluated commit and the comments."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.evaluated = GROUP if world.event == MERGED else HEAD
        self.statuses = [_status(each, "ok" if each == FOREIGN else OLDER) for each in world.older_statuses]
        self.comments: list[Json] = []
        self.retargeted = self.limited = False
        self._runs = 0
        self.defects: list[Exception] = []
        self.before: Callable[[str, Json], None] = lambda _call, _body: None  # each call, of the backend too
        # Outside of PyGithub, which has a lock for all its clients; called with whose the next call is.
        self.between: Callable[[str], None] = lambda _of: None

    @contextmanager
    def connected(self) -> Iterator[None]:
        """Let PyGithub call this GitHub, also for a run during another run."""
        connection = type("Connection", (_Connection,), {"github": self})
        Requester.injectConnectionClasses(connection, connection)
        self._runs += 1
        try:
            yield
        finally:
            self._runs -= 1
            if not self._runs:
                Requester.resetConnectionClasses()

    def rest(self, method: str, path: str, query: Mapping[str, list[str]], body: Json) -> object:
        """Return the answer to a call. The last word of its path says what it is about, and which fault it has."""
        *before, last = path.split("/")
        what = before[-1] if last.isdigit() or len(last) == len(HEAD) else last
        self.before(f"{method} {what}", body)
        self._refuse(what)
        match method, what:
            case "GET", "pulls":
                found = [each for each in self.world.pulls if self._listed(each, query) or str(each.number) == last]
                listed = [_rest_pull(each, each.base, each.opener or self.world.opener) for each in found]
                if not (listed or last == what):
                    raise Refused(404)
                return listed if last == what else listed[0]
            case _, "files":
                return [{"filename": name} for name in (*self.world.files, *[CONFIG][: not self.world.behind])]
            case _, "reviews":
                return list(map(_rest_review, self.world.reviews))
            case _, "requested_reviewers":
                return {"users": []}
            case _, "permission":
                return {"permission": self.world.roles.get(unquote(before[-1]).lower(), "read")}
            case "GET", "statuses":
                size, page = (int(query[name][0]) for name in ("per_page", "page"))
                return [_rest_status(each) for each in self.statuses[::-1][size * (page - 1) : size * page]]
            case "POST", "statuses":
                assert last == self.evaluated
                self.set_status(body)
            case "POST" | "PATCH", "comments":
                self.comments[:] = [{"id": 1, "html_url": "https://github.com/#1", **body}]
        made = {"statuses": self.statuses, "comments": self.comments}.get(what, [])
        return made if method == "GET" else made[-1]

    def set_status(self, body: Json, creator: Json = BOT) -> None:
        shown = {"targetUrl": body.get("target_url"), "creator": creator, "createdAt": CREATED}
        self.statuses.append({"id": len(self.statuses) + 1, **shown, **body})

    def graphql(self, query: str, variables: Json) -> Json:
        self.before("graphql", {})
        if self.world.github_fault == "graphql":
            raise Refused(502)
        if "base0" in query and self.world.github_fault in {"limit", *["limit once"][: not self.limited]}:
            self.limited = True
            return {"data": None, "errors": [{"type": "RESOURCE_LIMITS_EXCEEDED", "message": "too large"}]}
        tree = {
            "viewer": {"login": "github-actions[bot]"},
            "repository": lambda **_: {
                "pullRequest": self._pull,
                "object": self._object,
                "pullRequests": lambda **_: {"nodes": []},
            },
        }
        result = execute_sync(SCHEMA(), PARSED(query), tree, variable_values=variables, field_resolver=_resolve)
        refused = [each for each in result.errors or () if isinstance(each.original_error, Refused)]
        assert len(refused) == len(result.errors or ()), result.errors
        errors = [{"type": "FORBIDDEN", "path": each.path, "message": "refused"} for each in refused]
        return {"data": result.data, **({"errors": errors} if errors else {})}

    def _refuse(self, what: str) -> None:
        if self.world.github_fault == what:
            raise Refused(403)

    def _listed(self, pull: Pull, query: Mapping[str, list[str]]) -> bool:
        label = f"{(FORK if pull.fork else REPOSITORY).split('/')[0]}:topic"
        return query.get("head", [label]) == [label] and query.get("state") == ["closed" if pull.closed else "open"]

    def _pull(self, number: int) -> Json | None:
        found = [each for each in self.world.pulls if each.number == number]
        if not found:
            return None
        base, opener = found[0].base, found[0].opener or self.world.opener
        if self.retargeted:
            base = "dev" if base == "main" else "main"
        return {
            "headRefOid": HEAD,
            "baseRefName": base,
            "baseRefOid": TIPS[base],
            "author": {"__typename": "User" if opener in PEOPLE else "Bot", "login": opener},
            "assignees": self._assignees,
            "commits": lambda last: {"nodes": [{"commit": self._commit(HEAD, self.statuses)}][-last:]},
            "comments": lambda **_: {"nodes": self._own(), "pageInfo": {"hasNextPage": False, "endCursor": None}},
        }

    def _own(self) -> list[Json]:
        shown = {"viewerDidAuthor": True, "fullDatabaseId": "1", "url": "https://github.com/#1"}
        return [{**shown, "body": each["body"]} for each in self.comments]

    def _assignees(self, first: int) -> Json:
        return _page({"login": login} for login in self.world.assignees[:first])

    def _authors(self, **_: object) -> Json:
        self._refuse("requesters")
        return _page([{"user": None}, *({"user": {"login": login}} for login in self.world.commit_authors)])

    def _object(self, expression: str) -> Json | None:
        revision, _, path = expression.partition(":")
        revision, tilde, steps = revision.partition("~")
        branches = {**{sha: name for name, sha in TIPS.items()}, **{f"refs/heads/{name}": name for name in TIPS}}
        place = {**branches, "HEAD": "main", HEAD: "head", GROUP: "head"}[revision]
        if path:
            policy = self.world.policies[place] if path == CONFIG else None
            return policy and {"__typename": "Blob", "text": _policy_text(policy), "isTruncated": False}
        if not tilde:
            return self._commit(revision, self.statuses) if revision == self.evaluated else self._commit("a" * 40, [])
        line = (*self.world.base, None)
        index = int(steps) - (place == "head")  # the line of a head begins with it
        if index < 0:
            return self._commit(self.evaluated, self.statuses)
        return self._commit(f"{index + 1:040x}", _published(line[index])) if index < len(line) else None

    def _commit(self, sha: str, statuses: Iterable[Json]) -> Json:
        contexts = list({each["context"]: each for each in statuses}.values())

        def status() -> Json | None:
            self._refuse("base")
            return {"contexts": contexts} if contexts else None

        return {
            "__typename": "Commit",
            "oid": sha,
            "committedDate": "2026-07-01T12:00:00Z",
            "status": status,
            "committedViaWeb": False,
            "committer": None,
            "parents": {"totalCount": 1, "nodes": []},
            "authors": self._authors,
        }


class _Connection:
    """A connection of PyGithub to the GitHub of a world."""

    github: GitHub

    def __init__(self, *_: object, **__: object) -> None:
        self.status, self._text = 200, ""

    def request(self, verb: str, url: str, body: str | None, headers: object, stream: bool = False) -> None:  # noqa: FBT001, FBT002
        del headers, stream
        parts, sent = urlsplit(url), json.loads(body) if body else {}
        try:
            if parts.path == "/graphql":
                payload: object = self.github.graphql(sent["query"], sent["variables"])
            else:
                payload = self.github.rest(verb, parts.path, parse_qs(parts.query), sent)
            self.status, self._text = 200, json.dumps(payload)
        except Refused as refused:
            self.status, self._text = refused.args[0], '{"message": "refused"}'
        except Exception as error:
            self.github.defects.append(error)  # the gate would turn it into a warning
            raise

    def getresponse(self) -> _Connection:
        return self

    def getheaders(self) -> list[tuple[str, str]]:
        return []

    def read(self) -> str:
        return self._text

    def close(self) -> None:
        pass


def _resolve(source: Any, info: GraphQLResolveInfo[Any], **given: Any) -> Any:  # noqa: ANN401 - JSON
    value = source[info.field_name]
    return value(**given) if callable(value) else value


def _page(nodes: Iterable[Json]) -> Json:
    return {"nodes": list(nodes), "pageInfo": {"hasNextPage": False}}


def _status(context: str, description: str, creator: Json = BOT) -> Json:
    fields = {"context": context, "state": "success", "description": description, "creator": creator}
    return {"id": 0, "targetUrl": None, "createdAt": CREATED, **fields}


def _rest_status(status: Json) -> Json:
    creator = {"type": "Bot", "login": "github-actions[bot]"} if status["creator"] == BOT else status["creator"]
    renamed = {"creator": creator, "created_at": status["createdAt"], "target_url": status["targetUrl"]}
    return {name: status[name] for name in ("id", "context", "description")} | renamed


def _published(result: Published | None) -> list[Json]:
    if result is None:
        return []
    rate, score = "-" if result.rate is None else f"{result.rate:.1%}", "-" if result.score is None else result.score
    description = f"{result.words}: {rate} passed, 0 unsafe, 1 failures, score {score}"
    return [_status(CONTEXT, description, BOT if result.own else {"__typename": "User", "login": "mallory"})]


def _rest_review(review: Review) -> Json:
    user = {"login": review.login, "type": "Bot" if review.bot else "User"}
    return {"user": user, "state": review.state, "commit_id": OLD_HEAD if review.old else HEAD}
