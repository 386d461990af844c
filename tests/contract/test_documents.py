"""The documents say what is so: their links lead somewhere, and their examples work."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest
import yaml

from scripts import generate, trace_schema
from sepurux_action.config.options import BY_NAME
from sepurux_action.github import event
from sepurux_action.report.data import OUTPUTS
from sepurux_action.sandbox import Sandbox
from tests.runner import TRACE, run_action
from tests.scenes import FULL, SECRET, Scene
from tests.yaml_blocks import blocks_of

ROOT = generate.ROOT
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]
DOCUMENTS = [*PAGES, *(ROOT / f"{name}.md" for name in ("CONTRIBUTING", "CHANGELOG", "SECURITY"))]
EXAMPLES = [
    path for kind in ("workflows/*", "policies/*", "agents/record_*", "ci/*") for path in ROOT.glob(f"examples/{kind}")
]
# Words that no reader has to learn, in text and in tables.
UNUSED = "CI run|batch|conclusion|stage|undecided|baseline|context of a status|fingerprint|layer|brief|resume"
# What looks like a setting on a page, and is none.
OTHER_NAMES = {*trace_schema.TYPES, *(each.name for each in trace_schema.FIELDS + trace_schema.OF_EVENTS)}
OTHER_NAMES |= {"approval_token", "my_agent", "on_failure", "replace_tools"}
# What a command of a page finds, in place of programs that would change the machine.
GATE = "git+https://github.com/sepurux/gate-action@v1"
INSTALLED = {f"install {GATE}", f"install sepurux-recorder @ {GATE}#subdirectory=recorder"}
PROGRAMS = {
    "pip": 'echo "$@" >> installed',
    "python": f'exec "{sys.executable}" "$@"',
    "sepurux-gate": f'exec "{sys.executable}" -m sepurux_action "$@"',
}
COMMANDS = [
    pytest.param(block, id=f"{path.stem}-{number}")
    for path in PAGES
    for number, block in enumerate(
        re.findall(r"^```sh\n(.*?)^```", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    )
]
MY_AGENT = """
def answer(request):
    for _ in range(1) if "not" not in request else ():
        payments.refund(order="A-1001", approval_token="approval-7")
    return "Done."
"""
by_name = pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
each_page = pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)


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


def test_readme_leads_to_every_page_and_to_every_example_in_two_clicks() -> None:
    led_to = {file for file, _ in links(README)}
    assert [path.name for path in PAGES if path not in {README, *led_to}] == []
    led_to |= {file for path in PAGES for file, _ in links(path)}
    assert [path.name for path in EXAMPLES if path not in led_to] == []


def test_the_pages_are_short() -> None:
    assert sum(len(text_of(path).split()) for path in PAGES) <= 7_500
    assert sum(len(text_of(ROOT / f"{name}.md").split()) for name in ("CONTRIBUTING", "SECURITY")) <= 1_300


@each_page
def test_a_page_uses_few_words_and_names_only_settings_that_exist(path: Path) -> None:
    text = outside_code(text_of(path))
    prose = re.sub(r"`[^`]+`|\]\([^)]+\)|<[^>]+>", "", text)
    assert re.findall(rf"\b(?:{UNUSED})(?:e?s)?\b", prose, re.IGNORECASE) == []
    known = {*BY_NAME, *OUTPUTS, *event.PARSERS, *OTHER_NAMES}
    assert {*re.findall(r"`([a-z]+(?:_[a-z]+)+)(?::[^`]*)?`", text)} - known == set()


def test_readme_shows_the_quick_start_that_is_tested() -> None:
    quick_start, policy = blocks_of("README.md", text_of(README))
    assert (quick_start.text, policy.is_policy) == (text_of(ROOT / "examples" / "workflows" / "quick-start.yml"), True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with an agent, recordings, a report, and the programs that a page's commands start."""
    (tmp_path / "bin").mkdir()
    for name, script in PROGRAMS.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        (tmp_path / "bin" / name).chmod(0o755)
    (tmp_path / "traces").mkdir()
    shutil.copy(ROOT / "examples" / "traces" / "refund-sound.json", tmp_path / "traces")
    shutil.copy(ROOT / "examples" / "agents" / "record_plain.py", tmp_path / "record_traces.py")
    shutil.copy(ROOT / "tests" / "golden" / "fail-new.json", tmp_path / "report.json")
    (tmp_path / "my_agent.py").write_text(MY_AGENT, encoding="utf-8")
    (tmp_path / "installed").touch()
    return tmp_path


def shell(command: str, folder: Path, **environment: str) -> None:
    environment["PATH"] = os.pathsep.join([str(folder / "bin"), os.environ["PATH"]])
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "recorder")])
    started = ["bash", "-euc", command]
    done = subprocess.run(started, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "null" not in done.stdout.splitlines(), "jq prints this for a field that the report does not have"


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_of_a_page_works(command: str, folder: Path) -> None:
    if "record_traces.py" in command:
        shutil.rmtree(folder / "traces")
    with Sandbox() as sandbox:
        shell(command, folder, SEPURUX_API_BASE_URL=sandbox.url)
    assert {*text_of(folder / "installed").splitlines()} <= INSTALLED


def test_the_scripts_that_record_are_the_example_and_one_that_finds_a_repeated_refund(folder: Path) -> None:
    first, second = re.findall(r"^```python\n(.*?)^```", text_of(ROOT / "docs" / "record.md"), re.MULTILINE | re.DOTALL)
    example = ast.parse(text_of(ROOT / "examples" / "agents" / "record_openai_agents.py"))
    for node in (example, *example.body):
        if isinstance(node, ast.Module | ast.ClassDef) and ast.get_docstring(node):
            del node.body[0]
    assert ast.unparse(ast.parse(first)) == ast.unparse(example)
    shutil.rmtree(folder / "traces")
    (folder / "record_traces.py").write_text(second, encoding="utf-8")
    for refunds in (1, 2):
        (folder / "my_agent.py").write_text(MY_AGENT.replace("range(1)", f"range({refunds})"), encoding="utf-8")
        shell("python record_traces.py", folder)
        trace = json.loads(text_of(folder / "traces" / "refund-approved-1.json"))
        failures = [each["error"]["message"] for each in trace["events"] if each["type"] == "failure"]
        assert [each for each in failures if "refunds an order once" in each] == failures[: refunds - 1]


@by_name
def test_every_piece_of_python_compiles(path: Path) -> None:
    for block in re.findall(r"^ *```python\n(.*?)^ *```", text_of(path), re.MULTILINE | re.DOTALL):
        compile(dedent(block), path.name, "exec")


@by_name
def test_no_piece_of_yaml_hides_from_the_linters(path: Path) -> None:
    assert len(re.findall(r"```ya?ml", text_of(path))) == len(list(blocks_of(path.name, text_of(path))))


def test_every_module_that_contributing_names_exists() -> None:
    known = {path.name for folder in ("sepurux_action", "scripts", "tests") for path in (ROOT / folder).rglob("*.py")}
    assert {*re.findall(r"`(?:[\w/]+/)?(\w+\.py)`", text_of(ROOT / "CONTRIBUTING.md"))} - known == set()


def test_every_message_that_a_page_explains_is_one_of_the_gate() -> None:
    sources = "".join(text_of(path) for path in (ROOT / "sepurux_action").rglob("*.py"))
    sources = re.sub(r'"\n *f?"', "", sources).lower()
    own = text_of(ROOT / "docs" / "troubleshooting.md").partition("GitHub says")[0]
    messages = [each for row in re.findall(r"^\| (.+?) \|", own, re.MULTILINE) for each in re.findall("`(.+?)`", row)]
    assert len(messages) > 10
    assert [each for each in messages if each.lower() not in sources] == []


def test_every_make_target_that_a_document_names_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", text_of(ROOT / "Makefile"), re.MULTILINE))
    named = {name for path in DOCUMENTS for name in re.findall(r"`make ([a-z-]+)", text_of(path))}
    assert named - targets == set()


def gates_of(path: Path) -> Iterator[tuple[dict[str, str], dict[str, str]]]:
    """Yield the inputs of each step of ours in a document's YAML, and the permissions of its job if there are any."""
    for block in blocks_of(path.name, text_of(path)):
        if not block.is_policy:
            for job in yaml.safe_load(block.text)["jobs"].values():
                for step in job.get("steps", ()):
                    if step.get("uses", "").startswith("sepurux/gate-action"):
                        yield {name: str(value) for name, value in step["with"].items()}, job.get("permissions", {})


PASTED = [
    pytest.param(*gate, id=f"{path.stem}-{number}") for path in PAGES for number, gate in enumerate(gates_of(path))
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
