"""What was requested: the options, the settings, and the policy file."""
