"""The vendor's own client, unchanged, works against the sandbox: its endpoints are those the product has."""

import json

import pytest
from sepurux import SepuruxClient

from sepurux_action.sandbox import CORE_CAMPAIGN, Sandbox, campaign_id
from tests.sandboxed import SECRET, TRACES

CORE = campaign_id(CORE_CAMPAIGN)


@pytest.mark.parametrize(
    ("name", "decision", "failures"),
    [
        *(("refund-sound", "pass", []), ("refund-failing-tool", "fail", ["tool_error", "tool_error"])),
        ("refund-unsafe", "fail", ["unsafe_action"]),
    ],
)
def test_the_vendors_client_runs_an_example(name: str, decision: str, failures: list[str], sandbox: Sandbox) -> None:
    with SepuruxClient(base_url=sandbox.url, api_key=SECRET, project_id="my-agent") as client:
        trace_id = client.upload_trace(json.loads((TRACES / f"{name}.json").read_text()))
        batch = client.get_ci_batch(client.start_run(trace_id=trace_id, campaign_id=CORE))
        run = client.get_ci_run(batch["run_id"])
        found = client.get_campaign_failures(CORE, run_id=run["run_id"])
    assert (batch["decision"], run["decision"], run["run_id"]) == (decision, decision, batch["run_ids"][0])
    assert [one["type"] for one in found] == failures
