"""What a workflow asks for: options, settings, and the policy file."""
