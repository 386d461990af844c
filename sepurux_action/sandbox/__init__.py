"""An embedded CI API for trials and tests. It judges recorded traces by the simple rules that `judging` states.

with Sandbox(token="...") as sandbox:
    requests.get(f"{sandbox.url}/v1/campaigns", headers={"X-API-Key": "..."})
"""

from __future__ import annotations

from sepurux_action.sandbox.ledger import CORE_CAMPAIGN, REFUND_CAMPAIGN, SOUND_REFUND_ID, campaign_id
from sepurux_action.sandbox.server import Sandbox
from sepurux_action.sandbox.wire import Request

__all__ = ["CORE_CAMPAIGN", "REFUND_CAMPAIGN", "SOUND_REFUND_ID", "Request", "Sandbox", "campaign_id"]
