"""An embedded CI API for trials and tests. It evaluates recorded traces by the rules in `trace_rules.py`."""

from sepurux_action.sandbox.server import CORE_CAMPAIGN, Sandbox, Store, campaign_id
from sepurux_action.sandbox.trace_rules import APPROVALS

__all__ = ["APPROVALS", "CORE_CAMPAIGN", "Sandbox", "Store", "campaign_id"]
