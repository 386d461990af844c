"""The structure of CONTRIBUTING.md: which module may use the outside world, and who imports whom."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "sepurux_action"
# The modules that may interact with the outside world or control time, each with the libraries that it alone imports.
IMPURE = {
    "__main__": (),
    "demo": (),
    "init": (),
    "evaluation.api": ("requests", "urllib3"),
    "evaluation.engine": (),
    "evaluation.traces": (),
    "config.policy": ("yaml",),
    "github.subject": (),
    "github.client": ("github", "requests", "urllib3"),  # PyGithub lets exceptions of requests and urllib3 through
    "host.deadlines": (),
    "host.output": (),
    "report.summary": ("jinja2",),
    "flow.execution": (),
}
OUTSIDE = {"os", "sys", "time", "threading", "pathlib", "socket", "subprocess", "signal", "random"}
# Imports go from right to left; packages of one level do not import each other.
LEVELS = (
    ("common", "errors", "host", "sandbox"),
    ("config",),
    ("evaluation",),
    ("github", "report"),
    ("flow",),
    ("app",),
)
LEVEL = {name: level for level, names in enumerate(LEVELS) for name in names}
EVERYONE = {"errors", "common"}  # errors.py uses common, and host uses both
# Each sends a secret to the host that it belongs to.
REVEALERS = {"flow.execution", "evaluation.api", "github.client"}


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT / PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts) or PACKAGE


TREES = {name_of(path): ast.parse(path.read_bytes()) for path in sorted((ROOT / PACKAGE).rglob("*.py"))}
MODULES = [name for name in TREES if not name.startswith("sandbox")]


def imports(name: str) -> Iterator[str]:
    """Yield what a module imports, modules of the package without its name."""
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = (node.module or "").removeprefix(PACKAGE).removeprefix(".")
            for alias in node.names:
                full = f"{module}.{alias.name}".removeprefix(".")
                yield full if full in TREES else module or PACKAGE


OURS = {name: {each for each in imports(name) if each in TREES and each != PACKAGE} for name in TREES}


@pytest.mark.parametrize("name", MODULES)
def test_only_the_listed_modules_use_the_outside_world_and_libraries(name: str) -> None:
    tops = {each.split(".")[0] for each in imports(name)} - {each.split(".")[0] for each in TREES}
    assert tops - sys.stdlib_module_names <= set(IMPURE.get(name, ()))
    assert name in IMPURE or not tops & OUTSIDE


@pytest.mark.parametrize("name", [name for name in MODULES if name.split(".")[0] in LEVEL])
def test_imports_go_in_one_direction(name: str) -> None:
    top = name.split(".", maxsplit=1)[0]
    others = {each.split(".")[0] for each in OURS[name]} - {top} - EVERYONE
    assert all(LEVEL[each] < LEVEL[top] or (each == "host" and top != "config") for each in others)


def test_the_sandbox_imports_only_itself() -> None:
    imported = {each for name in TREES if name.startswith("sandbox") for each in OURS[name]}
    assert {each for each in imported if not each.startswith("sandbox")} == set()


def test_a_secret_is_revealed_only_where_it_is_sent() -> None:
    nodes = ((name, node) for name in MODULES for node in ast.walk(TREES[name]))
    assert {name for name, node in nodes if isinstance(node, ast.Attribute) and node.attr == "reveal"} == REVEALERS
