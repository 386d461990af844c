"""The inputs and files of a step that evaluates an example trace in the sandbox, and sandboxes with faults."""

from threading import Lock

from sepurux_action.sandbox import Store
from sepurux_action.sandbox.server import SOUND_REFUND, Event, Request, respond
from tests import backend
from tests.backend import Answer, ScriptedBackend
from tests.runner import REPOSITORY

MANY = "many-scenarios"
SECRET = "ci-token-0123456789"
UNSAFE_REFUND: list[Event] = [
    *SOUND_REFUND[:2],
    {"type": "tool_call", "tool": "payments.refund", "args": {"order": "A-1001"}},
    {"type": "failure", "tool": "payments.refund", "error": "the payment service did not answer within 2 s"},
]
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


def many_scenarios(count: int, failing: int = 5) -> Store:
    """Return a store whose campaign `many-scenarios` has so many, of which some fail, at even distances."""
    store = Store()
    fails = {number * count // failing for number in range(failing)} if failing else set()
    trace_ids = tuple(
        store.add_trace(UNSAFE_REFUND if number in fails else SOUND_REFUND, f"refund order A-{1001 + number}")
        for number in range(count)
    )
    store.campaigns[MANY] = trace_ids
    return store


def scripted_sandbox(store: Store, *, late_s: float) -> ScriptedBackend:
    """Return a backend that answers as the sandbox does, each time so much later, and to which a test adds faults."""
    server = ScriptedBackend({})
    lock = Lock()

    def answer(request: backend.Request) -> Answer:
        asked = Request(
            method=request.method, path=request.path, query=request.query, headers=request.headers, body=request.body
        )
        with lock:
            return backend.late(late_s, backend.json(respond(store, asked, token=None, base_url=server.url)))

    server.script("*", answer)
    return server
