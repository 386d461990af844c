"""Owns what a verdict was about, as one word that later runs compare; never what the verdict was.

Source: contract, section 6.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict

from sepurux_action.config.gate import Gate, Trace


def fingerprint(gate: Gate) -> str:
    """Return the SHA-256, in hex, of all that a verdict depends on beside the commit.

    A remembered `fail` is taken again only under the same fingerprint; the stage and who reviews are not part of it.
    """
    asked = asdict(gate.thresholds)
    asked["required_mutation_categories"] = sorted(gate.thresholds.required_mutation_categories)
    content = [gate.campaign, gate.project, sorted(map(_of_trace, gate.traces)), gate.mutation_pack, asked]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _of_trace(trace: Trace) -> list[str]:
    if trace.content is not None:
        return ["content", trace.content.sha256]
    return ["id", trace.trace_id] if trace.trace_id else ["registered"]
