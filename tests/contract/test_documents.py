"""The documents say what is so: their links lead somewhere, and their examples work."""

import re
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest
import yaml

from scripts import generate
from tests.backend import sound_backend
from tests.github_double import GitHub
from tests.runner import TRACE, run_action
from tests.scenes import FULL, SECRET, Scene, a_scene
from tests.yaml_blocks import blocks_of

ROOT = generate.ROOT
README = ROOT / "README.md"
GUIDES = sorted((ROOT / "docs").glob("*.md"))
DOCUMENTS = [README, *(ROOT / f"{name}.md" for name in ("CONTRIBUTING", "CHANGELOG", "SECURITY")), *GUIDES]
by_name = pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with GitHub() as github, sound_backend() as sepurux:
        yield a_scene(github, sepurux, tmp_path)


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def outside_code(markdown: str) -> str:
    """Return the text without its fenced and indented blocks, in which a `#` begins no heading."""
    return re.sub(r"^ *```.*?^ *```|^ {4}.*?$", "", markdown, flags=re.MULTILINE | re.DOTALL)


def anchors(markdown: str) -> list[str]:
    """Return the anchors that GitHub gives to the headings: lower case, spaces as hyphens, other signs dropped."""
    found: list[str] = []
    for heading in re.findall(r"^#{1,6} (.+)$", outside_code(markdown), re.MULTILINE):
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        found.append(f"{slug}-{found.count(slug)}" if slug in found else slug)
    return found


def links(path: Path) -> Iterator[tuple[Path, str]]:
    """Yield the file and the anchor, or '', of each link that stays in the repository."""
    text = outside_code(text_of(path))
    for link in re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'(?:src|srcset|href)="([^"]+)"', text):
        if not link.startswith(("https://", "http://")):
            file, _, anchor = link.partition("#")
            yield (path.parent / file).resolve() if file else path, anchor


@by_name
def test_every_link_within_the_repository_leads_to_a_file_and_to_a_heading_of_it(path: Path) -> None:
    found = list(links(path))
    assert [str(file.relative_to(ROOT)) for file, _ in found if not file.exists()] == []
    assert [(file.name, anchor) for file, anchor in found if anchor and anchor not in anchors(text_of(file))] == []


def test_every_page_that_the_code_cites_has_the_heading() -> None:
    sources = [text_of(path) for path in (ROOT / "sepurux_action").rglob("*.py")]
    cited = {found for text in sources for found in re.findall(r"(docs/\w+\.md)#([\w-]+)", text)}
    assert len(cited) > 10
    assert [each for each in cited if each[1] not in anchors(text_of(ROOT / each[0]))] == []


def test_readme_leads_to_every_guide() -> None:
    led_to = {file for file, _ in links(README)}
    assert [path.name for path in GUIDES if path not in led_to] == []


@by_name
def test_every_piece_of_python_compiles(path: Path) -> None:
    for block in re.findall(r"^ *```python\n(.*?)^ *```", text_of(path), re.MULTILINE | re.DOTALL):
        compile(dedent(block), path.name, "exec")


@by_name
def test_no_piece_of_yaml_hides_from_the_linters(path: Path) -> None:
    assert len(re.findall(r"```ya?ml", text_of(path))) == len(list(blocks_of(path.name, text_of(path))))


def test_every_make_target_that_a_document_names_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", text_of(ROOT / "Makefile"), re.MULTILINE))
    named = {name for path in DOCUMENTS for name in re.findall(r"`make ([a-z-]+)", text_of(path))}
    assert named - targets == set()


def gates_of(path: Path) -> Iterator[tuple[dict[str, str], dict[str, str]]]:
    """Yield the inputs of each step of ours in a document's YAML, and the permissions of its job if there are any."""
    for block in blocks_of(path.name, text_of(path)):
        if not block.is_policy:
            for job in yaml.safe_load(block.text)["jobs"].values():
                for step in job["steps"]:
                    if step.get("uses", "").startswith("sepurux/gate-action"):
                        yield {name: str(value) for name, value in step["with"].items()}, job.get("permissions", {})


PASTED = [
    pytest.param(*gate, id=f"{path.stem}-{number}")
    for path in (README, *GUIDES)
    for number, gate in enumerate(gates_of(path))
]


@pytest.mark.parametrize(("inputs", "permissions"), PASTED)
def test_a_step_on_a_page_works_as_pasted(inputs: dict[str, str], permissions: dict[str, str], scene: Scene) -> None:
    secrets = dict.fromkeys({"token", "api_key"} & inputs.keys(), SECRET)
    scene.token = scene.github.token(permissions or FULL)
    step = {**scene.options(), "inputs": {**inputs, **secrets, "base_url": scene.sepurux.url}}
    result = run_action(**step, files={"traces/checkout.json": TRACE, "traces/refunds/a.json": TRACE})
    assert (result.exit_code, result.outputs["decision"]) == (0, "pass"), result.log
    assert scene.status[:2] == ("success", "Sepurux / core-reliability")
    assert (len(scene.ours), result.messages("warning")) == (1, [])
