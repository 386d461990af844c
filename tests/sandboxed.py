"""The inputs and files of a step that evaluates an example trace in the sandbox."""

from __future__ import annotations

from tests.runner import REPOSITORY

SECRET = "sandbox-secret-4711"
TRACES = REPOSITORY / "examples" / "traces"


def sound_inputs(url: str) -> dict[str, str]:
    """Return the inputs of a step that passes at the sandbox of this address."""
    return {
        "token": SECRET,
        "github_token": "",
        "base_url": url,
        "project": "support-agent",
        "campaign": "refund-reliability",
        "trace_file": "traces/refund-sound.json",
    }


def trace_files() -> dict[str, bytes]:
    """Return the example traces by their places in the workspace."""
    return {f"traces/{path.name}": path.read_bytes() for path in TRACES.glob("*.json")}
