"""What GitHub knows about the change, and what the gate publishes there."""
