"""The calls of one CI run on which a decision depends, apart from polls: they are tried again while an error may pass.

They find its campaign, upload its trace, start it, and read scores.
Source: docs/architecture.md#limits-and-polling.
"""

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress

from sepurux_action.common import json_reader
from sepurux_action.common.json_reader import Reading
from sepurux_action.config.parsers import similar
from sepurux_action.config.settings import Gate
from sepurux_action.errors import EvaluationError
from sepurux_action.evaluation import api, schedule
from sepurux_action.evaluation.api import ApiRequest, Success
from sepurux_action.evaluation.api_calls import ApiCalls
from sepurux_action.evaluation.metrics import RELIABILITY_SCORE
from sepurux_action.evaluation.runs import OTHER_CAMPAIGN, is_about_another, parse_run

MAX_NAMES_LISTED = 20  # campaigns that an error text lists
MAX_SCORES = 1_000  # of runs of a batch that are read for their mean
NOT_SHOWN = frozenset({401, 403})  # the backend shows it to another secret
UNUSABLE_RESPONSE = "Check that {base_url} is the API's address; if it is, ask Sepurux about this response."


async def read_campaign_id(calls: ApiCalls, gate: Gate) -> str:
    """Return the campaign's id. The list is read also if the id is given: it shows whether Sepurux is up."""
    given = ""
    with suppress(ValueError):  # if it is a name
        given = str(uuid.UUID(gate.campaign))
    try:
        listed = await calls.shared_payload_of(api.list_campaigns(gate.project), gate.timeout_s)
    except EvaluationError as error:
        if not given or error.status not in NOT_SHOWN:  # a CI token may not see the list
            raise
        return given
    return given or find_campaign(listed, gate.campaign, gate.project)


def find_campaign(listed: object, campaign: str, project: str) -> str:
    """Return the id of a campaign from the response with the list of them."""
    if not isinstance(listed, list):
        raise EvaluationError("Sepurux sent no list as the list of campaigns", UNUSABLE_RESPONSE)
    entries = [*map(json_reader.as_object, listed)]
    named = (json_reader.identifier(entry.get("campaign_id")) for entry in entries if entry.get("name") == campaign)
    ids = sorted({*named} - {""})
    if len(ids) == 1:
        return ids[0]
    where = project and f" in project {json_reader.preview(project)}"
    if ids:
        hint = f"Set {{campaign}} to the UUID of one of them: {_listed(ids)}."
        raise EvaluationError(f"{len(ids)} campaigns are named {json_reader.preview(campaign)}{where}", hint)
    names = sorted({json_reader.text(entry.get("name")) for entry in entries} - {""})
    hint = "Check {project} and the secret, which see no campaign, or create the campaign at Sepurux."
    if names:
        hint = f"Set {{campaign}} to one of these, or {{project}} to another project: {_listed(names)}."
    if meant := similar(campaign, names):
        hint = f"Did you mean {json_reader.preview(meant)}? {hint}"
    raise EvaluationError(f"campaign {json_reader.preview(campaign)} was not found{where}", hint)


def _listed(names: Sequence[str]) -> str:
    shown = [*map(json_reader.preview, names[:MAX_NAMES_LISTED])]
    return ", ".join([*shown, "…"] if len(names) > MAX_NAMES_LISTED else shown)


async def upload(calls: ApiCalls, gate: Gate, label: str, content: bytes) -> str:
    call = api.upload_trace(content, label, gate.project, str(uuid.uuid4()))
    payload = await calls.payload_of(call, gate.timeout_s)
    trace_id = json_reader.identifier(json_reader.at(payload, "trace_id"))
    if not trace_id:
        reason = f"Sepurux accepted the trace {json_reader.preview(label)}, but sent no usable trace_id"
        raise EvaluationError(reason, UNUSABLE_RESPONSE)
    return trace_id


async def start(
    calls: ApiCalls, gate: Gate, campaign_id: str, trace_id: str, metadata: Mapping[str, object]
) -> tuple[str, str, tuple[str, ...]]:
    """Return the ids of the started run and batch, '' if unknown, and of the runs of a batch as far as known."""
    call = api.create_run(gate, campaign_id, trace_id, metadata, str(uuid.uuid4()))
    response = json_reader.as_object(await calls.payload_of(call, gate.timeout_s))
    if is_about_another(response, campaign_id):
        raise EvaluationError(f"Sepurux started the CI run, but sent {OTHER_CAMPAIGN}", UNUSABLE_RESPONSE)
    run_ids = parse_run(response).run_ids if isinstance(response.get("run_ids"), list) else ()
    batch_id = json_reader.identifier(response.get("batch_id"))
    run_id = json_reader.identifier(response.get("run_id")) or (run_ids[0] if len(run_ids) == 1 else "")
    if not (batch_id or run_id):
        raise EvaluationError("Sepurux started the CI run, but sent no usable run_id or batch_id", UNUSABLE_RESPONSE)
    return run_id, batch_id, run_ids


async def read_score(calls: ApiCalls, gate: Gate, campaign_id: str, run_ids: Sequence[str]) -> Reading:
    """Return the mean of the scores, which all must be usable if there are any."""
    if len(run_ids) >= MAX_SCORES:
        return Reading(broken=f"could not be read: the batch has {MAX_SCORES:,} or more runs")
    until = max(gate.timeout_s, calls.elapsed() + schedule.SCORE_S)
    requests = (api.reliability(campaign_id, run_id, gate.project) for run_id in run_ids)
    read = await asyncio.gather(*(_read_score(calls, each, until) for each in requests))
    if broken := next((score for score in read if score.broken), None):
        return broken
    values = [score.value for score in read if score.value is not None]
    if not values:
        return Reading()
    reported_by = f"{len(values)} of {len(read)} runs" if len(values) < len(read) else ""
    mean = RELIABILITY_SCORE.rounded(RELIABILITY_SCORE.together(values))
    return Reading(mean, reported_by=reported_by)


async def _read_score(calls: ApiCalls, call: ApiRequest, until: float) -> Reading:
    result = await calls.retried(call, until, of_object=True)
    if isinstance(result, Success):
        return RELIABILITY_SCORE.read(result.payload)
    if result.status in {*NOT_SHOWN, 404}:
        return Reading()
    return Reading(broken=f"could not be read: {result.reason}")
