"""A backend of batches with scenarios of their own, page by page, for the tests of what is read of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sepurux_action.evaluation.api import ApiRequest, ApiResult, PermanentError, Success
from tests.fakes import CAMPAIGN

PAGE = "https://app.sepurux.dev/runs/"


@dataclass(kw_only=True)
class Run:
    """One scenario: its failures as the API lists them, and fields that replace those of its run."""

    failures: Sequence[Mapping[str, object]] = ()
    fields: Mapping[str, object] = field(default_factory=dict)
    trace_id: str | None = None


@dataclass
class Batches:
    """A backend with these batches. The first of them is started; the runs of `base` have the ids `base-run-1`, ...

    A page has at most `page` entries.
    """

    batches: Mapping[str, Sequence[Run]]
    page: int = 200
    fields: Mapping[str, object] = field(default_factory=dict)
    names: Mapping[str, object] = field(default_factory=dict)

    def __call__(self, call: ApiRequest, _time: float) -> ApiResult:
        *_, kind, name = call.path.split("/")
        if call.method == "POST" and name == "traces":
            return Success({"trace_id": "uploaded"})
        if call.method == "POST":
            name = next(iter(self.batches))
            return Success({"batch_id": name, "run_ids": self._ids(name)})
        if kind == "batch":
            return Success(self._batch(name))
        if kind == "traces":
            return Success({"trace_id": name, "task_name": self.names.get(name)})
        if kind == "runs":
            run = self._run(name)
            return Success(
                {"run_id": name, "trace_id": run.trace_id, "status": "done", **_numbers([run]), **run.fields}
            )
        if name == "failures":
            query = dict(call.query)
            offset, listed = int(query["offset"]), self._run(query["run_id"]).failures
            about = {"campaign_id": CAMPAIGN, "run_id": query["run_id"]}
            return Success(
                [{**about, **each} for each in listed[offset : offset + min(self.page, int(query["limit"]))]]
            )
        return PermanentError(reason="HTTP 404", status=404)

    def _batch(self, name: str) -> dict[str, object]:
        runs = self.batches[name]
        own = {"batch_id": name, "run_ids": self._ids(name), "status": "done", "dashboard_url": f"{PAGE}{name}"}
        return {**own, **_numbers(runs), **(self.fields if name == next(iter(self.batches)) else {})}

    def _ids(self, name: str) -> list[str]:
        return [f"{name}-run-{number}" for number in range(1, len(self.batches[name]) + 1)]

    def _run(self, run_id: str) -> Run:
        name, _, number = run_id.partition("-run-")
        return self.batches[name][int(number) - 1]


def _numbers(runs: Sequence[Run]) -> dict[str, object]:
    """Return the numbers of runs together: a run with a failure failed, and an unsafe action is an unsafe attempt."""
    failures = [each for run in runs for each in run.failures]
    unsafe = sum(each["type"] == "unsafe_action" for each in failures)
    rate = sum(not run.failures for run in runs) / max(1, len(runs))
    decision = "fail" if failures else "pass"
    return {"decision": decision, "pass_rate": rate, "unsafe_attempts": unsafe, "failures": len(failures)}
