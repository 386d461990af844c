"""`make demo` works in a fresh clone, and installs only what the action itself needs."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.container.engine import a_clone
from tests.runner import inherited

pytestmark = pytest.mark.container


def make_demo(clone: Path) -> str:
    """Run `make demo`, which finds make and Python, but neither npm nor a container engine."""
    tools = clone.parent / "tools"
    tools.mkdir(exist_ok=True)
    for tool in ("make", "sh", "sed", "touch"):
        (tools / tool).unlink(missing_ok=True)
        (tools / tool).symlink_to(shutil.which(tool) or tool)
    python = Path(sys.base_prefix) / "bin" / "python3"
    done = subprocess.run(
        ["make", "demo", f"PYTHON={python}"],  # noqa: S607
        cwd=clone,
        env={**inherited(), "HOME": str(clone.parent), "TMPDIR": str(clone.parent), "PATH": str(tools)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_demo_needs_make_and_python_and_installs_what_the_action_needs(tmp_path: Path) -> None:
    clone = a_clone(tmp_path / "clone")
    before = {path.name for path in clone.iterdir()}
    first, second = make_demo(clone), make_demo(clone)
    assert re.findall(r"^Exit status (\d): the job (\w+)", first, re.MULTILINE) == [("0", "succeeds"), ("1", "fails")]
    assert re.findall(r"^  \| (Notice|Error): ", first, re.MULTILINE) == ["Notice", "Error"]
    assert [each.count("Installing") for each in (first, second)] == [1, 0]
    shown = re.findall(r"^  (/\S+)", first, re.MULTILINE)
    assert [Path(path).exists() for path in shown] == [True, True]
    [blocked] = json.loads(Path(shown[1], "report.json").read_text("utf-8"))["gates"]
    [failure] = blocked["failures"]
    assert (failure["scenario"], failure["on_base"]["having"]) == ("refund an order", 0)
    assert {"- 2 payments.refund(order, approval_token)", "> 2 payments.refund(order)"} <= {*failure["steps"]}
    assert {path.name for path in clone.iterdir()} - before == {"build"}
    locked = re.findall(r"^([\w.-]+)==", (clone / "requirements.txt").read_text(encoding="utf-8"), re.MULTILINE)
    [packages] = (clone / "build" / "demo-venv" / "lib").glob("python3*/site-packages")
    installed = {path.name.partition("-")[0].lower() for path in packages.glob("*.dist-info")}
    assert installed - {"pip", "setuptools"} == {name.lower().replace("-", "_") for name in locked}
