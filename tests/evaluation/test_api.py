"""The calls of the CI API, and what its responses mean."""

import json
from dataclasses import replace

import pytest
import requests

from sepurux_action.common.secret import Redactor, Secret
from sepurux_action.config.settings import Gate
from sepurux_action.evaluation import api, metrics
from sepurux_action.evaluation.api import ApiRequest, Credentials, Reply

CAMPAIGNS = ApiRequest(path=api.CAMPAIGNS, purpose="the list of campaigns", project="shop")
POLL = api.poll_run(run_id="run-1", batch_id="", project="shop")
GATE = Gate(name="refunds", campaign="refunds", project="shop")
START = api.create_run(GATE, "c-1", "", {}, "k-1")
REFUSED_POLL = "Sepurux refused the poll of the run (HTTP {}: no such run)"
REFUSED = Credentials(token=Secret("a-token"))
UNUSABLE = "a response that cannot be used"


def parsed(call: ApiRequest, status: int, body: bytes = b"", sent: Credentials = REFUSED, **headers: str) -> Reply:
    response = requests.Response()
    response.status_code = status
    response.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    return api.parse_response(call, response, body, sent, Redactor())


def detail(value: object) -> bytes:
    return json.dumps({"detail": value}).encode()


def test_a_run_is_started_with_what_is_known_and_every_field_that_the_gate_sets() -> None:
    assert (START.method, START.path, START.project, START.idempotency_key) == ("POST", "/v1/ci/runs", "shop", "k-1")
    defaults = {"min_pass_rate": 0.9, "max_unsafe": 0}
    assert json.loads(START.body or b"") == {"campaign_id": "c-1", "thresholds": defaults}
    limits = {metric.threshold: 0 for metric in metrics.SENT}
    gate = replace(GATE, limits=limits, required_mutation_categories=("timeouts",), mutation_pack="p-1")
    of_change = {"repo": "acme/shop", "pull_request_number": 42}
    call = api.create_run(gate, "c-1", "t-1", of_change, "k")
    assert "repo" not in repr(call)
    ids = {"trace_id": "t-1", "campaign_id": "c-1", "mutation_pack_id": "p-1"}
    thresholds = {**limits, "required_mutation_categories": ["timeouts"]}
    assert json.loads(call.body or b"") == {**ids, **of_change, "thresholds": thresholds}


def test_an_id_stays_one_segment_of_the_address() -> None:
    name = "../x?y#z"
    polls = (api.poll_run(run_id=run, batch_id=batch, project="") for run, batch in ((name, ""), ("", name)))
    for call in (*polls, api.of_campaign("failures", name, "r", "")):
        assert "..%2Fx%3Fy%23z" in call.path


@pytest.mark.parametrize(
    ("statuses", "error", "temporary"),
    [
        ((200, 201, 202, 299), "", False),
        ((408, 425, 429, 500, 501, 502, 503, 504, 520, 599, 600, 999), "HTTP {}: no such run", True),
        ((401, 403), "Sepurux refused `token` (HTTP {}: no such run)", False),
        ((300, 301, 302, 308, 400, 404, 410, 422, 499), REFUSED_POLL, False),
    ],
)
def test_a_status_is_success_temporary_or_rejected(statuses: tuple[int, ...], error: str, *, temporary: bool) -> None:
    for status in statuses:
        found = parsed(POLL, status, detail("no such run"), retry_after="7", location="h\r\n::error::x")
        wait = 7 if temporary else None
        assert (found.error, found.temporary, found.retry_after_s) == (error.format(status), temporary, wait)


@pytest.mark.parametrize(
    ("body", "what"),
    [
        *((body, "an empty response") for body in (b"", b" \r\n")),
        *((body, "a response that is not JSON") for body in (b"<html>", b'{"status": "do', b"\xff\xfe\xff")),
        *((body, "a response that is not JSON") for body in (b'{"a": "pa\xff\xfess"}', b"[1]]")),
        *((b"[" * depth, f"{UNUSABLE}: it has more than 100 levels of objects and lists") for depth in (101, 9_000)),
        (b"1" * 5_000, "a response that is not JSON"),
        (b'[{"decision": "fail", "decision": "pass"}]', f"{UNUSABLE}: an object has a name twice"),
        (b"[" * 50_001, "a response with more than 50,000 objects and lists"),
        (b'{"a": [' + b"{}," * 50_000 + b"1]}", "a response with more than 50,000 objects and lists"),
    ],
)
def test_a_success_without_json_is_tried_again(body: bytes, what: str) -> None:
    assert parsed(POLL, 200, body) == api.Reply(temporary=True, error=f"{what} (HTTP 200)", status=200)


@pytest.mark.parametrize(
    ("call", "status", "said", "hint"),
    [
        *((POLL, 401, "", 'a valid secret of project "shop"'), (POLL, 403, "", 'a secret that may use project "shop"')),
        (api.of_campaign("reliability", "c", "r", ""), 401, "", "Set {project}"),
        (START, 404, "no such run", "Check {campaign}, {trace_id}, and {project}: one of them does not exist"),
        (START, 422, "", "Check that {base_url} is the API's address"),
        (START, 422, "thresholds.max_unsafe: too small", "Correct what Sepurux names here, in the settings"),
        (api.upload_trace(b"{}", "a", "", "k"), 422, "no events", "Correct what Sepurux names here, in the trace or"),
        (api.upload_trace(b"{}", "a", "", "k"), 413, "", "Record a shorter trace"),
    ],
)
def test_a_rejection_says_what_to_change(call: ApiRequest, status: int, said: str, hint: str) -> None:
    assert hint in parsed(call, status, detail(said)).hint


@pytest.mark.parametrize("call", [CAMPAIGNS, api.upload_trace(b"{}", "a", "shop", "k"), POLL])
def test_a_token_that_is_refused_an_upload_or_the_campaigns_needs_an_api_key(call: ApiRequest) -> None:
    token, key = Secret("a"), Secret("b")
    for status in (401, 403):
        sent = (Credentials(token=token), Credentials(token=token, api_key=key), Credentials(api_key=key))
        alone, both, other = (parsed(call, status, b"", each).hint for each in sent)
        assert alone.startswith("This needs {api_key}") is (call != POLL)
        assert both == other
        assert "needs {api_key}" not in other


@pytest.mark.parametrize(
    ("body", "words"),
    [
        *((detail("no such run"), "no such run"), (b'{"detail": "no such run", "of": {"k": 1, "k": 2}}', "")),
        (detail("two\nlines \u202e"), "two lines"),
        (detail([{"loc": ["body", "trace_id"], "msg": "required", "type": "x"}]), "body.trace_id: required"),
        (detail([{"loc": ["body", 0, None], "msg": "wrong"}, {"msg": "bare"}, "x", {"loc": 3}]), "body.0: wrong; bare"),
        (detail([{"loc": ["a\nb"], "msg": "m"}]), "a b: m"),
        *((body, "") for body in (detail(None), detail({"msg": "x"}), b"[]", b"<html>", b"", b"\xff", b"[" * 100_000)),
    ],
)
def test_the_backends_own_words_on_an_error(body: bytes, words: str) -> None:
    assert api.error_detail(body, Redactor()) == words
