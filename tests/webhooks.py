"""Owns where GitHub's own example payloads are found in the package that publishes them; never what they mean."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from scripts.npm import Package

EXAMPLES = Package(
    name="@octokit/webhooks-examples",
    version="7.6.1",
    sha512="De6U3XB6O3DtCa7bKgCMzTHdeopqqZ6SNivMYJnK65ierKL1AnNIA0tkRYCRS7lwGT792d+Ps1WbfHlso6MynQ==",
)


def example_payloads(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Return the payloads of github.com by event name; `folder` keeps the package's archive."""
    index = json.loads(EXAMPLES.read("api.github.com/index.json", folder))
    return {each["name"]: each["examples"] for each in index}
