"""The parts of the flow in app.py: what an execution reads, what it finds for each gate, and what it publishes."""
