"""The gate. `__version__` is the only place that states its version."""

__version__ = "0.1.0"
