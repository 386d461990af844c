"""The structure of CONTRIBUTING.md: which module may use the outside world, and who imports whom."""

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "sepurux_action"
# The modules that may interact with the outside world or control time, each with the libraries that it alone imports.
IMPURE: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("__main__", "demo", "init", "evaluation.engine", "evaluation.traces", "github.subject"), ()),
    **dict.fromkeys(("host.deadlines", "host.output", "flow.execution"), ()),
    "evaluation.api": ("requests", "urllib3"),
    "config.policy": ("yaml",),
    "report.render": ("jinja2",),
    "github.client": ("github", "requests", "urllib3"),  # PyGithub lets exceptions of requests and urllib3 through
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


PATHS = {name_of(path): path for path in sorted((ROOT / PACKAGE).rglob("*.py"))}
MODULES = [name for name in PATHS if not name.startswith("sandbox")]


@cache
def nodes_of(name: str) -> list[ast.AST]:
    return [*ast.walk(ast.parse(PATHS[name].read_bytes()))]


def imports(name: str) -> Iterator[str]:
    """Yield what a module imports, modules of the package without its name."""
    for node in nodes_of(name):
        if isinstance(node, ast.Import):
            yield from (alias.name.removeprefix(f"{PACKAGE}.") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = (node.module or "").removeprefix(PACKAGE).removeprefix(".")
            for alias in node.names:
                full = f"{module}.{alias.name}".removeprefix(".")
                yield full if full in PATHS else module or PACKAGE


def packages(name: str) -> set[str]:
    """Return the packages, and modules beside them, that a module imports of our own."""
    return {each.split(".")[0] for each in imports(name) if each in PATHS and each != PACKAGE}


def test_only_the_listed_modules_use_the_outside_world_and_libraries() -> None:
    for name in MODULES:
        tops = {each.split(".")[0] for each in imports(name)} - {each.split(".")[0] for each in PATHS}
        assert tops - sys.stdlib_module_names <= set(IMPURE.get(name, ())), name
        assert name in IMPURE or not tops & OUTSIDE, name


def test_imports_go_in_one_direction() -> None:
    for name in MODULES:
        if (top := name.split(".", maxsplit=1)[0]) in LEVEL:
            others = packages(name) - {top} - EVERYONE
            assert all(LEVEL[each] < LEVEL[top] or (each == "host" and top != "config") for each in others), name


def test_the_sandbox_imports_only_itself() -> None:
    assert {each for name in PATHS if name.startswith("sandbox") for each in packages(name)} <= {"sandbox"}


def test_a_secret_is_revealed_only_where_it_is_sent() -> None:
    nodes = ((name, node) for name in MODULES for node in nodes_of(name))
    assert {name for name, node in nodes if isinstance(node, ast.Attribute) and node.attr == "reveal"} == REVEALERS
