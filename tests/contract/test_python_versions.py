"""The supported versions of Python are the same everywhere."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]


def test_the_tests_run_on_every_python_that_the_package_names_and_the_image_has_the_newest() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = [each.rpartition(" ")[2] for each in project["classifiers"] if "Python :: 3." in each]
    assert (
        yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_bytes())["jobs"]["test"]["strategy"]["matrix"][
            "python"
        ]
        == named
    )
    assert project["requires-python"] == f">={named[0]}"
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert re.findall(r"^FROM python:([\d.]+)", dockerfile, re.MULTILINE) == [named[-1]]
