"""Owns the version of the gate, the one place that states it; never any behaviour."""

__version__ = "0.1.0"
