"""Owns how the test process is set up, wherever it was started."""

from __future__ import annotations

import signal

# What a shell starts in the background has SIGINT ignored, and so would have every step that a test starts and signals;
# GitHub's runner starts its steps with the kernel's defaults.
signal.signal(signal.SIGINT, signal.default_int_handler)
