"""An embedded CI API for trials and tests. It evaluates recorded traces by the rules in `trace_rules.py`."""

from sepurux_action.sandbox.api import CORE_CAMPAIGN, FAILING_CAMPAIGN, SOUND_REFUND_ID, Store, campaign_id
from sepurux_action.sandbox.server import Sandbox

__all__ = ["CORE_CAMPAIGN", "FAILING_CAMPAIGN", "SOUND_REFUND_ID", "Sandbox", "Store", "campaign_id"]
