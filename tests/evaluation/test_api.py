"""The calls of the CI API, and what its responses mean."""

import json
from dataclasses import replace

import pytest
import requests

from sepurux_action.common.secret import Redactor, Secret
from sepurux_action.config.settings import Gate
from sepurux_action.evaluation import api
from sepurux_action.evaluation.api import ApiRequest, Credentials, Reply
from sepurux_action.evaluation.metrics import METRICS

CAMPAIGNS = ApiRequest(path=api.CAMPAIGNS, purpose="the list of campaigns", project="shop")
POLL = api.poll_run(run_id="run-1", batch_id="", project="shop")
GATE = Gate(name="refunds", campaign="refunds", project="shop")
START = api.create_run(GATE, "c-1", "", {}, "k-1")
OF_TRACE = api.create_run(replace(GATE, project=""), "c-1", "t-1", {}, "k-2")
TOKEN = "sk_live_5c0ffee5c0ffee5c0ffee"
REFUSED = Credentials(token=Secret(TOKEN))


def parsed(
    call: ApiRequest, status: int, body: bytes = b"", sent: Credentials = REFUSED, *secrets: str, **headers: str
) -> Reply:
    response = requests.Response()
    response.status_code = status
    response.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    return api.parse_response(call, response, body, sent, Redactor(secrets))


def body_of(call: ApiRequest) -> object:
    assert isinstance(call.body, bytes)
    return json.loads(call.body)


def detail(value: object) -> bytes:
    return json.dumps({"detail": value}).encode()


def test_a_run_is_started_with_what_is_known_and_every_field_that_the_gate_sets() -> None:
    assert (START.method, START.path, START.project, START.idempotency_key) == ("POST", "/v1/ci/runs", "shop", "k-1")
    assert body_of(START) == {"campaign_id": "c-1", "thresholds": {"min_pass_rate": 0.9, "max_unsafe": 0}}
    limits = {metric.threshold: 0 for metric in METRICS if metric.threshold and metric.sent}
    gate = replace(GATE, limits=limits, required_mutation_categories=("timeouts",), mutation_pack="p-1")
    assert body_of(api.create_run(gate, "c-1", "t-1", {"repo": "acme/shop", "pull_request_number": 42}, "k")) == {
        "trace_id": "t-1",
        "campaign_id": "c-1",
        "mutation_pack_id": "p-1",
        "thresholds": {**limits, "required_mutation_categories": ["timeouts"]},
        "repo": "acme/shop",
        "pull_request_number": 42,
    }


def test_a_trace_is_uploaded_byte_for_byte_and_not_shown() -> None:
    content = b'{"a": 1}'
    call = api.upload_trace(content, "a.json", "shop", "k-2")
    assert (call.method, call.path, call.body, call.idempotency_key) == ("POST", "/v1/traces", content, "k-2")
    assert '"a"' not in repr(call)


def test_an_id_stays_one_segment_of_the_address() -> None:
    for path in (
        api.poll_run(run_id="../x?y#z", batch_id="", project="").path,
        api.poll_run(run_id="", batch_id="../x?y#z", project="").path,
        api.reliability("../x?y#z", "r", "").path,
        api.classified_failures("../x?y#z", "r", "").path,
    ):
        assert "..%2Fx%3Fy%23z" in path


@pytest.mark.parametrize("status", [200, 201, 202, 299])
def test_a_success_with_json_is_a_reply(status: int) -> None:
    assert parsed(POLL, status, b'{"status": "done"}') == Reply(payload={"status": "done"})


@pytest.mark.parametrize(
    ("body", "what"),
    [
        *((body, "an empty response") for body in (b"", b" \r\n")),
        *((body, "a response that is not JSON") for body in (b"<html>", b'{"status": "do', b"\xff\xfe\xff")),
        *((body, "a response that is not JSON") for body in (b"[" * 50_000, b"1" * 5_000, b'{"a": "pa\xff\xfess"}')),
        (b'[{"decision": "fail", "decision": "pass"}]', "a response that is not JSON"),
        (b"[" * 50_001, "a response with more than 50,000 objects and lists"),
        (b'{"a": [' + b"{}," * 50_000 + b"1]}", "a response with more than 50,000 objects and lists"),
    ],
)
def test_a_success_without_json_is_tried_again(body: bytes, what: str) -> None:
    assert parsed(POLL, 200, body) == api.Reply(temporary=True, error=f"{what} (HTTP 200)", status=200)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 501, 502, 503, 504, 520, 599, 600, 999])
def test_what_may_pass_is_tried_again_after_what_the_backend_asks_for(status: int) -> None:
    shown = api.Reply(temporary=True, error=f"HTTP {status}: slow down", status=status, retry_after_s=7)
    assert parsed(POLL, status, detail("slow down"), retry_after="7") == shown


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 410, 413, 418, 422, 499])
def test_any_other_rejection_stays_and_quotes_the_backend(status: int) -> None:
    response = parsed(POLL, status, detail("no such run"))
    assert response.error
    assert not response.temporary
    assert response.status == status
    what = "`token`" if status in {401, 403} else "the poll of the run"
    assert response.error == f"Sepurux refused {what} (HTTP {status}: no such run)"


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308])
def test_a_redirect_is_rejected_and_shown(status: int) -> None:
    response = parsed(POLL, status, location="https://evil.example/\r\n::error::x")
    assert not response.temporary
    assert response.error.endswith("to https://evil.example/ ::error::x")
    assert "{base_url}" in response.hint


@pytest.mark.parametrize(
    ("call", "status", "said", "hint"),
    [
        (POLL, 401, "", 'is valid and belongs to project "shop"'),
        (POLL, 403, "", 'may use project "shop"'),
        (api.reliability("c", "r", ""), 401, "", "Set {project}"),
        (START, 404, "", 'Check {campaign} ("refunds"), {project} ("shop"): '),
        (OF_TRACE, 404, "", 'Check {campaign} ("refunds"), {trace_id} ("t-1"), {project} (not set): '),
        (START, 422, "", 'Register scenarios for campaign "refunds", or set {trace_file}.'),
        (START, 422, "Campaign has no registered scenarios", "Register scenarios for campaign"),
        (START, 422, "thresholds.max_unsafe: too small", "Correct what Sepurux names here, in the settings"),
        (api.upload_trace(b"{}", "a", "", "k"), 413, "", "Record a shorter trace"),
    ],
)
def test_a_rejection_says_what_to_change(call: ApiRequest, status: int, said: str, hint: str) -> None:
    response = parsed(call, status, detail(said))
    assert response.error
    assert not response.temporary
    assert hint in response.hint


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("call", [CAMPAIGNS, api.upload_trace(b"{}", "a", "shop", "k"), POLL])
def test_a_token_that_is_refused_an_upload_or_the_campaigns_needs_an_api_key(call: ApiRequest, status: int) -> None:
    def hint(sent: Credentials) -> str:
        found = parsed(call, status, b"", sent)
        assert found.error
        assert not found.temporary
        return found.hint

    token, key = Secret("a"), Secret("b")
    assert hint(Credentials(token=token)).startswith("This needs {api_key}") is (call != POLL)
    assert hint(Credentials(token=token, api_key=key)) == hint(Credentials(api_key=key))
    assert "needs {api_key}" not in hint(Credentials(api_key=key))


def test_a_rejected_secret_is_named_by_its_input_and_by_where_it_is_set() -> None:
    sent = Credentials(token=Secret("a"), api_key=Secret("b"), source="Secrets are set under `Settings`.")
    assert parsed(POLL, 401, b"", sent) == Reply(
        error="Sepurux refused `token` and `api_key` (HTTP 401)",
        status=401,
        hint='Check that the secret is valid and belongs to project "shop". Secrets are set under `Settings`.',
    )


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (detail("no such run"), "no such run"),
        (b'{"detail": "no such run", "of": {"k": 1, "k": 2}}', "no such run"),
        (detail("two\nlines \u202e"), "two lines"),
        (detail([{"loc": ["body", "trace_id"], "msg": "required", "type": "x"}]), "body.trace_id: required"),
        (detail([{"loc": ["body", 0, None], "msg": "wrong"}, {"msg": "bare"}, "x", {"loc": 3}]), "body.0: wrong; bare"),
        (detail([{"loc": ["a\nb"], "msg": "m"}]), "a b: m"),
        *((body, "") for body in (detail(None), detail({"msg": "x"}), b"[]", b"<html>", b"", b"\xff", b"[" * 100_000)),
    ],
)
def test_the_backends_own_words_on_an_error(body: bytes, words: str) -> None:
    assert api.error_detail(body, Redactor()) == words


@pytest.mark.parametrize("cut", range(api.MAX_DETAIL_LENGTH - len(TOKEN) - 2, api.MAX_DETAIL_LENGTH + 1))
def test_a_secret_at_the_end_of_what_is_repeated_is_redacted_and_not_cut_in_two(cut: int) -> None:
    text = "x" * cut + TOKEN
    for status in (401, 500, 302):
        result = parsed(POLL, status, detail(f"{text}{'x' * 100}"), Credentials(), TOKEN, location=text)
        assert result.error
        assert TOKEN[:2] not in result.error.removeprefix("Sepurux")
