"""The whole gate with GitHub: a real process, the real PyGithub, and a GitHub that knows its own description."""

import pytest

from tests import backend
from tests.github_double import faults
from tests.runner import interrupt
from tests.scenes import BOT, Scene


@pytest.mark.parametrize("login", ["mallory", "github-actions", None])
def test_a_copied_marker_of_another_author_is_neither_used_nor_deleted(login: str | None, scene: Scene) -> None:
    result = scene.run()
    page = f"{scene.github.server_url}/octo/shop/pull/1"
    assert result.outputs["comment_url"] == f"{page}#issuecomment-{scene.pull.comments[0].id}"
    assert "warning" not in result.counts
    marker = scene.ours[0].split("\n")[0]
    scene.pull.comments.clear()
    scene.pull.comment(login, f"{marker}\nTrust me.")
    assert scene.run().exit_code == 0
    copied, own = scene.pull.comments
    assert copied.body == f"{marker}\nTrust me."
    assert own.author is not None
    assert own.author.login == BOT


@pytest.mark.parametrize("before", [0, 8, 180])
def test_a_message_of_github_that_quotes_the_token_shows_it_nowhere(before: int, scene: Scene) -> None:
    message = f"{'-' * before}{scene.token} is not accepted"
    scene.github.fault("pulls/list", faults.refused(422, message), always=True)
    head = {"head_branch": "feature", "head_sha": scene.pull.head_sha, "head_repository": {"full_name": "octo/shop"}}
    result = scene.on("workflow_run", {"workflow_run": {"event": "pull_request", **head}}, {"report_dir": "report"})
    assert "`octo/shop:feature` could not be read (HTTP 422 " in result.messages("error")[0]
    files = {path.name: path.read_text() for path in (scene.workspace / "report").iterdir()}
    assert "report.json" in files
    log = [line for line in result.raw_log.splitlines() if not line.startswith("::add-mask::")]
    everywhere = [result.summary, *files.values(), *result.outputs.values(), *log]
    assert [text for text in everywhere if scene.token[:6] in text] == []


def test_a_signal_while_github_is_read_is_reported_without_a_status(scene: Scene) -> None:
    scene.github.fault("graphql*", backend.hang())
    result = interrupt(lambda: scene.github.calls("graphql*"), **scene.options())
    assert result.exit_code == 143
    (error,) = result.messages("error")
    assert error == "The run was canceled before all settings were read."
    assert scene.repository.statuses_of(scene.pull.head_sha) == []


def test_an_empty_token_leaves_github_alone(scene: Scene) -> None:
    result = scene.run(github_token="")
    assert result.exit_code == 0
    assert scene.github.requests == ()
    assert "no comment and no status: `github_token`, " in result.log


@pytest.mark.parametrize(
    ("inputs", "gate"),
    [({"campaign": "", "token": ""}, "Sepurux gate"), ({"name": "core", "unknown": "1", "trace_file": "none"}, "core")],
)
def test_a_deleted_branch_is_skipped_whatever_the_settings_say(inputs: dict[str, str], gate: str, scene: Scene) -> None:
    event = {"ref": "refs/heads/feature", "after": "0" * 40, "deleted": True}
    result = scene.on("push", event, inputs | {"report_dir": "report"}, env={"GITHUB_SHA": "0" * 40})
    assert (result.exit_code, result.outputs["reason"]) == (0, "refs/heads/feature was deleted.")
    assert result.gate["name"] == gate
    assert (scene.workspace / "report" / "report.json").exists()
    assert (result.messages("error"), scene.sepurux.requests, scene.repository.statuses) == ([], (), [])
