"""Records what an agent does, as traces for the Sepurux gate. docs/record.md shows how to use it."""

from sepurux_recorder.recording import VERSION, expect, recorded
from sepurux_recorder.runs import Scenario, main
from sepurux_recorder.tools import replace_tools

__version__ = VERSION
__all__ = ["Scenario", "expect", "main", "recorded", "replace_tools"]
