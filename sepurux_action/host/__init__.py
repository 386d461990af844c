"""Where the action runs: a GitHub runner or a terminal."""
