"""`sepurux-gate init` and `demo`: what they write, and that they write nothing else."""

import io
import re
import sys
import tomllib
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sepurux_action import init
from tests.runner import REPOSITORY, run_cli

WORKFLOW = Path(".github", "workflows", "sepurux.yml")
FLAGS = ["--project", "my-agent", "--campaign", "core-reliability", "--framework", "plain"]
PACKAGE = REPOSITORY / "sepurux_action"
HOSTILE = st.text("ab\"'\\{}[]#&*!|>%@`:,?-~ $\n\r\t\0\u2028\u00e9\U0001f600", max_size=12) | st.text(max_size=90)
HOSTILE |= st.sampled_from(
    ["${{ secrets.X }}", "true", "null", "1.0", "a: b", "- a", "campaign: core-reliability", "x)"]
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_symlink() or path.is_file())


def test_init_writes_a_script_for_each_framework_and_the_workflow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for framework in init.FRAMEWORKS:
        folder = tmp_path / framework
        folder.mkdir()
        monkeypatch.chdir(folder)
        assert init.main([*FLAGS[:-1], framework]) == 0
        assert files_in(folder) == [str(WORKFLOW), "record_traces.py"]
        assert WORKFLOW.read_bytes() == (PACKAGE / "init" / "quick-start.txt").read_bytes()
        script = Path("record_traces.py").read_text(encoding="utf-8")
        compile(script, "record_traces.py", "exec")
        assert sum(line != "" for line in script.splitlines()) <= 25
    assert {str(WORKFLOW), "record_traces.py"} <= {*re.findall(r"[\w./]+\w", capsys.readouterr().out)}


def test_the_examples_are_what_init_writes() -> None:
    examples = {path.stem: path for path in (REPOSITORY / "examples" / "agents").glob("record_*.py")}
    examples["quick-start"] = REPOSITORY / "examples" / "workflows" / "quick-start.yml"
    written = {path.stem: path.read_text("utf-8") for path in (PACKAGE / "init").glob("*.txt") if path.stem != "next"}
    assert {name: path.read_text("utf-8") for name, path in examples.items()} == written


@given(project=HOSTILE, campaign=HOSTILE)
def test_the_workflow_has_exactly_the_given_names_or_is_not_written(project: str, campaign: str) -> None:
    with TemporaryDirectory() as made, pytest.MonkeyPatch.context() as patch:
        patch.chdir(made)
        status = init.main([f"--project={project}", f"--campaign={campaign}", "--framework=plain"])
        if status == 1:
            assert files_in(Path(made)) == []
            return
        gate = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))["jobs"]["gate"]
    wanted = {"project": project.strip(), "campaign": campaign.strip(), "enforcement": "observe"}
    assert (status, gate["with"]) == (0, wanted)
    assert "${{" not in project + campaign


@pytest.mark.parametrize("name", ["record_traces.py", str(WORKFLOW), ".github", ".github/workflows"])
@pytest.mark.parametrize("kind", ["file", "link"])
def test_init_overwrites_nothing(name: str, kind: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    there = Path(name)
    there.parent.mkdir(parents=True, exist_ok=True)
    there.write_text("mine") if kind == "file" else there.symlink_to("/nowhere/else")
    assert init.main(FLAGS) == 1
    assert files_in(folder) == [name]
    assert kind == "link" or there.read_text() == "mine"
    said = capsys.readouterr().err
    told = "could not be written: " if name in {".github", ".github/workflows"} else "; nothing was written\n"
    assert said.startswith("sepurux-gate init: ")
    assert told in said


def test_a_terminal_asks_for_what_no_flag_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", shown := Terminal())
    for answers, status in (("refunds\n", 1), ("refunds\ndjango\n", 1), ("refunds\n\n", 0)):
        monkeypatch.setattr(sys, "stdin", Terminal(answers))
        assert init.main(FLAGS[:2]) == status
    assert "core-reliability" not in WORKFLOW.read_text(encoding="utf-8")
    assert 'campaign: "refunds"' in WORKFLOW.read_text(encoding="utf-8")
    assert re.findall(r"\[(\w+)\]", shown.getvalue()) == ["plain"] * 3


def test_what_is_missing_or_wrong_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for flags, said in (
        ([], "give --project and --campaign and --framework"),
        (FLAGS[:4], "give --framework"),
        ([*FLAGS[:-1], "django"], "--framework is not accepted: it is none of openai-agents, langchain, openai, plain"),
        ([*FLAGS, "--campaign", "x" * 81], "--campaign is not accepted: it has 81 characters"),
    ):
        assert init.main(flags) == 1
        assert capsys.readouterr().err == f"sepurux-gate init: {said}; nothing was written\n"
    assert files_in(folder) == []


def test_init_writes_nothing_below_the_root_of_a_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / ".git").touch()  # a file in a worktree
    (tmp_path / "agent").mkdir()
    monkeypatch.chdir(tmp_path / "agent")
    assert (init.main(FLAGS), str(tmp_path) in capsys.readouterr().err, files_in(tmp_path)) == (1, True, [".git"])
    assert run_cli(["init", *FLAGS], {}, tmp_path).returncode == 0


def test_an_installed_package_has_every_file_of_the_package() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    data = project["tool"]["setuptools"]["package-data"]
    folders = {REPOSITORY / Path(*package.split(".")): globs for package, globs in data.items()}
    installed = {path for folder, globs in folders.items() for each in globs for path in folder.glob(each)}
    others = {path for path in PACKAGE.rglob("*") if path.is_file() and path.suffix not in {".py", ".pyc"}}
    assert others == installed


def test_the_demo_runs_in_any_folder_and_writes_nothing_there(tmp_path: Path) -> None:
    (folder := tmp_path / "any").mkdir()
    ended = run_cli(["demo"], {"TMPDIR": str(tmp_path), "SEPURUX_API_KEY": "real-key-0123456789"}, folder)
    assert (ended.returncode, ended.stderr, files_in(folder)) == (0, "", [])
    statuses = re.findall(r"^Exit status (\d: the job \w+)", ended.stdout, re.MULTILINE)
    assert statuses == ["0: the job succeeds", "1: the job fails"]
    assert [Path(path).exists() for path in re.findall(r"^  (/\S+)", ended.stdout, re.MULTILINE)] == [True, True]
