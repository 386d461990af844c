"""A hash of what a decision depends on, so that later runs can reuse a `fail`. Source: docs/configuration.md."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict

from sepurux_action.config import options
from sepurux_action.config.gate import Gate, Trace


def fingerprint(gate: Gate) -> str:
    """Return the SHA-256, in hex, of all that a decision depends on, except the commit.

    A cached `fail` is reused only if the fingerprint is the same. The stage and the reviewers are not part of it.
    """
    drops = {options.MAX_PASS_RATE_DROP.name, options.MAX_RELIABILITY_SCORE_DROP.name}
    thresholds = {k: v for k, v in asdict(gate.thresholds).items() if k not in drops or v is not None}
    thresholds["required_mutation_categories"] = sorted(gate.thresholds.required_mutation_categories)
    content = [gate.campaign, gate.project, sorted(map(_of_trace, gate.traces)), gate.mutation_pack, thresholds]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _of_trace(trace: Trace) -> list[str]:
    if trace.content is not None:
        return ["content", hashlib.sha256(trace.content).hexdigest()]
    return ["id", trace.trace_id] if trace.trace_id else ["registered"]
