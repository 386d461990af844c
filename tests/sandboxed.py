"""The inputs and files of a step that evaluates an example trace in the sandbox."""

from tests.runner import REPOSITORY

SECRET = "ci-token-0123456789"
TRACES = REPOSITORY / "examples" / "traces"


def sound_inputs(url: str) -> dict[str, str]:
    return {
        "token": SECRET,
        "github_token": "",
        "base_url": url,
        "project": "support-agent",
        "campaign": "refund-reliability",
        "trace_file": "traces/refund-sound.json",
    }


def trace_files() -> dict[str, bytes]:
    return {f"traces/{path.name}": path.read_bytes() for path in TRACES.glob("*.json")}
