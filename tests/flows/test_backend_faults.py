"""A backend that fails, hangs, or contradicts itself: the step ends in time and with the right decision."""

from __future__ import annotations

import random
from pathlib import Path

from tests import backend
from tests.backend import decided, sound_backend
from tests.runner import TRACE, run_action
from tests.scenes import CAMPAIGN, SHORT_WAITS, step, visible


def test_one_fault_on_every_call_changes_no_decision(tmp_path: Path) -> None:
    """Every fault that is worth a retry has the same effect."""
    fault = backend.truncated({"batch_id": "b"})
    (tmp_path / "trace.json").write_text(TRACE)
    campaigns = [{"campaign_id": backend.CAMPAIGN_ID, "name": "core-reliability"}]
    passed = decided(decision="pass", pass_rate=0.95, unsafe_attempts=0, failures=1)
    answers: dict[str, list[backend.Answer]] = {
        "GET /v1/campaigns": [fault, backend.json(campaigns)],
        "POST /v1/traces": [fault, backend.json({"trace_id": backend.TRACE_ID})],
        "POST /v1/ci/runs": [fault, backend.json({"batch_id": backend.BATCH_ID})],
        "GET /v1/ci/batch/*": [fault, backend.json(passed)],
        "GET /v1/campaigns/*/reliability": [fault],
        "GET /v1/campaigns/*/failures": [fault],
    }
    random.seed(SHORT_WAITS)
    with sound_backend(**answers) as sepurux:
        result = step(sepurux, tmp_path, trace_file="trace.json")
        posts = [call for call in sepurux.requests if call.method == "POST"]
    assert (result.exit_code, result.outputs["decision"]) == (0, "pass"), result.log
    assert len(posts) == 4
    assert len({(call.path, call.headers["idempotency-key"]) for call in posts}) == 2


def test_a_backend_that_is_not_there_is_an_error_within_the_timeout(tmp_path: Path) -> None:
    with sound_backend() as sepurux:
        url = sepurux.url
    result = run_action(workspace=tmp_path, inputs={**CAMPAIGN, "base_url": url, "timeout": "0.5"})
    assert (result.exit_code, result.outputs["decision"]) == (2, "error")
    assert "base_url" in visible(result.summary)


def test_a_response_without_end_does_not_delay_the_exit(tmp_path: Path) -> None:
    with sound_backend(**{"POST /v1/ci/runs": backend.drip_headers(0.1)}) as sepurux:
        inputs = {**CAMPAIGN, "base_url": sepurux.url, "timeout": "0.5"}
        result = run_action(workspace=tmp_path, inputs=inputs, process=True, timeout=20)
    assert (result.exit_code, result.outputs["decision"]) == (2, "error")
