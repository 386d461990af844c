"""The structure of docs/architecture.md: which module may use the outside world, and who imports whom."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "sepurux_action"

# The modules that may interact with the outside world or control time, each with the libraries that it alone imports.
IMPURE = {
    "__main__": (),
    "evaluation.transport": ("requests", "urllib3"),
    "evaluation.api_calls": (),
    "evaluation.trace_files": (),
    "config.policy_parser": ("yaml",),
    "github.policy_source": (),
    "github.connection": ("github", "requests", "urllib3"),  # PyGithub lets exceptions of requests and urllib3 through
    "host.actions_runner": (),
    "host.deadlines": (),
    "host.report_files": (),
    "host.terminal": (),
    "report.rendering": ("jinja2",),
    "step": (),
}
OUTSIDE = {"os", "sys", "time", "threading", "pathlib", "socket", "subprocess", "signal", "random"}

# Imports go from right to left; packages of one level do not import each other.
LEVELS = (
    ("common", "errors", "host"),
    ("config",),
    ("evaluation",),
    ("github", "report"),
    ("step",),
    ("baseline",),
    ("evaluate",),
    ("publish",),
    ("app",),
)
LEVEL = {name: level for level, names in enumerate(LEVELS) for name in names}
EVERYONE = {"errors", "common"}  # errors.py uses common, and host uses both

# Each sends a secret to the host that it belongs to.
REVEALERS = {"step", "evaluation.transport", "github.connection"}


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT / PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts) or PACKAGE


TREES = {name_of(path): ast.parse(path.read_bytes()) for path in sorted((ROOT / PACKAGE).rglob("*.py"))}
MODULES = [name for name in TREES if not name.startswith("sandbox")]
by_module = pytest.mark.parametrize("name", MODULES)


def imports(name: str) -> Iterator[str]:
    """Yield what a module imports, modules of the package without its name."""
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{name} has a relative import"
            module = (node.module or "").removeprefix(PACKAGE).removeprefix(".")
            for alias in node.names:
                full = f"{module}.{alias.name}".removeprefix(".")
                yield full if full in TREES else module or PACKAGE


def ours(name: str) -> set[str]:
    return {each for each in imports(name) if each in TREES and each != PACKAGE}


@by_module
def test_only_the_listed_modules_use_the_outside_world(name: str) -> None:
    tops = {each.split(".")[0] for each in imports(name)} - {each.split(".")[0] for each in TREES}
    libraries = tops - sys.stdlib_module_names
    assert libraries <= set(IMPURE.get(name, ()))
    assert name in IMPURE or not tops & OUTSIDE


def test_the_listed_modules_exist() -> None:
    assert set(IMPURE) | REVEALERS <= set(MODULES)


@pytest.mark.parametrize("name", [name for name in MODULES if name.split(".")[0] in LEVEL])
def test_imports_go_in_one_direction(name: str) -> None:
    top = name.split(".", maxsplit=1)[0]
    others = {each.split(".")[0] for each in ours(name)} - {top} - EVERYONE
    assert all(LEVEL[each] < LEVEL[top] or (each == "host" and top != "config") for each in others)


@pytest.mark.parametrize("name", [name for name in TREES if name.startswith("sandbox")])
def test_the_sandbox_imports_only_itself(name: str) -> None:
    assert all(each.startswith("sandbox") for each in ours(name))


@by_module
def test_a_secret_is_revealed_only_where_it_is_sent(name: str) -> None:
    reveals = any(isinstance(node, ast.Attribute) and node.attr == "reveal" for node in ast.walk(TREES[name]))
    assert not reveals or name in REVEALERS


def test_no_module_imports_itself_through_others() -> None:
    TopologicalSorter({name: ours(name) for name in TREES}).prepare()  # raises CycleError, which names the circle


def test_tests_import_nothing_from_other_tests() -> None:
    texts = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py")}
    imported = re.compile(r"^(?:from|import) tests[\w.]*\.test_", re.MULTILINE)
    assert [name for name, text in texts.items() if imported.search(text)] == []
