"""Owns the contact with the world, one library each; never a rule of the gate."""
