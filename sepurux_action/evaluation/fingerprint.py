"""A hash of what a decision depends on, so that later runs can reuse a `fail`. Source: docs/configuration.md."""

from __future__ import annotations

import hashlib
import json

from sepurux_action.config.gate import Gate, Trace


def fingerprint(gate: Gate) -> str:
    """Return the SHA-256, in hex, of all that a decision depends on, except the commit.

    A cached `fail` is reused only if the fingerprint is the same. The stage and the reviewers are not part of it.
    """
    limits, required = dict(gate.limits), sorted(gate.required_mutation_categories)
    content = [gate.campaign, gate.project, sorted(map(_of_trace, gate.traces)), gate.mutation_pack, limits, required]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _of_trace(trace: Trace) -> list[str]:
    if trace.content is not None:
        return ["content", hashlib.sha256(trace.content).hexdigest()]
    return ["id", trace.trace_id] if trace.trace_id else ["registered"]
