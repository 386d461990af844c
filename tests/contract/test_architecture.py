"""Who may import whom, and which library has which owner (docs/architecture.md)."""

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
OWNERS = {
    "requests": ("adapters.transport", "adapters.github_forge"),  # PyGithub lets its exceptions through
    "urllib3": ("adapters.transport", "adapters.github_forge"),
    "jinja2": ("adapters.rendering",),
    "yaml": ("adapters.policy_file",),
    "github": ("adapters.github_forge",),
}
REVEALERS = ("adapters.", "app")


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


TREES = {name_of(path): ast.parse(path.read_bytes()) for path in sorted((ROOT / PACKAGE).rglob("*.py"))}
SHORT = {name: name.removeprefix(f"{PACKAGE}.") for name in TREES}


def imports(name: str) -> Iterator[str]:
    """Yield what a module imports, our own by the module that is meant, a relative import as '.'."""
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." if node.level else node.module or ""
            for alias in node.names:
                yield f"{module}.{alias.name}" if f"{module}.{alias.name}" in TREES else module


def in_room(name: str, room: str) -> bool:
    return name == f"{PACKAGE}.{room}" or name.startswith(f"{PACKAGE}.{room}.")


def ours(name: str) -> set[str]:
    return {each for each in imports(name) if each.split(".")[0] == PACKAGE}


def test_the_rooms_are_looked_at() -> None:
    rooms = {short.split(".")[0] for short in SHORT.values()}
    assert {"core", "adapters", "sandbox", "app", "watch", "errors", "ports"} <= rooms


@pytest.mark.parametrize("name", TREES)
def test_a_foreign_library_is_imported_by_its_owner_only(name: str) -> None:
    tops = {each.split(".")[0] for each in imports(name)}
    foreign = tops - sys.stdlib_module_names - {PACKAGE}
    assert [library for library in foreign if SHORT[name] not in OWNERS.get(library, ())] == []


@pytest.mark.parametrize("name", [name for name in TREES if in_room(name, "core")])
def test_core_imports_only_itself_and_the_errors(name: str) -> None:
    assert all(in_room(each, "core") or each == f"{PACKAGE}.errors" for each in ours(name))


@pytest.mark.parametrize("name", [name for name in TREES if in_room(name, "sandbox")])
def test_the_sandbox_imports_only_itself(name: str) -> None:
    assert all(in_room(each, "sandbox") or each == PACKAGE for each in ours(name))


@pytest.mark.parametrize("name", [name for name in TREES if in_room(name, "adapters")])
def test_adapters_know_the_core_the_errors_the_ports_and_each_other(name: str) -> None:
    below = {PACKAGE, f"{PACKAGE}.errors", f"{PACKAGE}.ports"}
    assert all(in_room(each, "adapters") or in_room(each, "core") or each in below for each in ours(name))


@pytest.mark.parametrize("name", TREES)
def test_a_secret_is_revealed_by_adapters_and_the_walk_only(name: str) -> None:
    reveals = any(isinstance(node, ast.Attribute) and node.attr == "reveal" for node in ast.walk(TREES[name]))
    assert not reveals or SHORT[name].startswith(REVEALERS)


def test_no_module_imports_itself_by_way_of_others() -> None:
    graph = {name: {each for each in ours(name) if each != PACKAGE} for name in TREES}
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


def test_tests_import_nothing_from_other_tests() -> None:
    texts = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py")}
    imported = re.compile(r"^(?:from|import) tests[\w.]*\.test_", re.MULTILINE)
    assert [name for name, text in texts.items() if imported.search(text)] == []
