"""The vendor's own client, unchanged, works against the sandbox: its endpoints are those the product has."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sepurux import SepuruxClient

from sepurux_action.sandbox import CORE_CAMPAIGN, Sandbox, campaign_id

TRACES = Path(__file__).resolve().parents[2] / "examples" / "traces"
KEY = "a-key-of-no-one"
CORE = campaign_id(CORE_CAMPAIGN)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(token=KEY) as opened:
        yield opened


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[SepuruxClient]:
    with SepuruxClient(base_url=sandbox.url, api_key=KEY, project_id="my-agent") as opened:
        yield opened


def example(name: str) -> dict[str, object]:
    trace: dict[str, object] = json.loads((TRACES / f"{name}.json").read_text())
    return trace


def cli(sandbox: Sandbox, *arguments: str, key: str = KEY) -> subprocess.CompletedProcess[str]:
    """Run the vendor's command with nothing of our environment but what measures coverage."""
    environment = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")}
    environment |= {
        "SEPURUX_API_BASE_URL": sandbox.url,
        "SEPURUX_API_KEY": key,
        "SEPURUX_PROJECT_ID": "my-agent",
        "GITHUB_REPO": "octo/agent",
        "PR_NUMBER": "42",
    }
    return subprocess.run(
        [sys.executable, "-m", "sepurux.cli", "run", "campaign", "--poll-interval", "0.05", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_vendors_command_completes(sandbox: Sandbox) -> None:
    ended = cli(sandbox, "--campaign", CORE_CAMPAIGN, "--min-reliability", "80")
    assert ended.returncode == 0, ended.stderr
    assert "Reliability: 100.0% (healthy)" in ended.stdout
    of_run = [("GET", "/v1"), ("POST", "/v1"), ("POST", "/v1/ci"), ("GET", "/v1/ci/batch")]
    sent = [(seen.method, seen.path.rpartition("/")[0]) for seen in sandbox.requests]
    assert sent == [*of_run, *[("GET", f"/v1/campaigns/{CORE}")] * 2]


def test_the_vendors_command_fails_on_a_wrong_key_and_an_unknown_campaign(sandbox: Sandbox) -> None:
    wrong_key = cli(sandbox, "--campaign", CORE_CAMPAIGN, key="wrong")
    unknown = cli(sandbox, "--campaign", "nothing-of-the-kind")
    assert (wrong_key.returncode, unknown.returncode) == (1, 1)
    assert "401" in wrong_key.stderr
    assert "Campaign not found: nothing-of-the-kind" in unknown.stderr


@pytest.mark.parametrize(
    ("name", "decision", "score", "failures"),
    [
        ("refund-sound", "pass", 1.0, []),
        ("refund-failing-tool", "fail", 0.5, ["tool_error", "tool_error"]),
        ("refund-unsafe", "fail", 0.75, ["unsafe_action"]),
    ],
)
def test_the_vendors_client_uploads_an_example_runs_it_and_reads_its_result(
    client: SepuruxClient, name: str, decision: str, score: float, failures: list[str]
) -> None:
    trace_id = client.upload_trace(example(name))
    batch = client.get_ci_batch(client.start_run(trace_id=trace_id, campaign_id=CORE))
    run = client.get_ci_run(batch["run_id"])
    reliability = client.get_campaign_reliability(CORE, run_id=run["run_id"])
    found = client.get_campaign_failures(CORE, run_id=run["run_id"])
    assert (batch["decision"], run["decision"], run["run_id"]) == (decision, decision, batch["run_ids"][0])
    assert (reliability["reliability_score"], reliability["classified_failures"]) == (score, len(failures))
    assert [one["type"] for one in found] == failures
