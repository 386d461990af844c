"""The comment on the pull request, which is created once and then edited, each time within the time for comments."""

from functools import partial
from urllib.parse import quote

from sepurux_action.common import json_reader
from sepurux_action.config.options import CommentMode
from sepurux_action.config.settings import Settings
from sepurux_action.github.client import READS_S, Calls, Client, GitHubError, Operation, check_id
from sepurux_action.github.event import Event
from sepurux_action.github.queries import Comment, PullRequest, read_pull_request

MARKER = "sepurux-gate"


def read_again(calls: Calls, event: Event, settings: Settings) -> PullRequest | None:
    """Return the pull request after the evaluation, with its comments; None if there is no comment."""
    calls.set_timeout(READS_S)
    if event.pull_request is None or event.name == "merge_group" or settings.comment is CommentMode.NEVER:
        return None
    return calls.try_call(Operation.PULL, partial(read_pull_request, event.pull_request))


def marker_of(settings: Settings) -> str:
    """Return the first line of the comment, by which it is found: only the gate's name differs from other steps."""
    key = settings.gates[0].name if len(settings.gates) == 1 else "gates"
    return f"<!-- {MARKER}:{quote(key, safe='', errors='surrogatepass')} -->"


def publish_comment(calls: Calls, event: Event, pull: PullRequest, text: str, *, create: bool) -> str:
    """Edit the comment that begins with the first line of `text`, or `create` it; return its address or ''."""
    if pull.head != event.commit:
        calls.output.log("no comment: the pull request has a newer commit, which gets a run of its own")
        return ""
    marker = text.partition("\n")[0]
    ours = [each for each in pull.comments if each.body.startswith(marker)]
    if ours:
        first, *duplicates = ours  # there is more than one after a race
        edit = partial(write_comment, "PATCH", f"comments/{first.id}", text)
        is_edited = first.body == text or calls.try_call(Operation.COMMENT, edit) is not None
        for duplicate in duplicates if is_edited else ():
            calls.try_call(Operation.COMMENT, partial(delete_comment, duplicate))
        return first.url
    try:  # once: after a failure, the comment may exist
        new = partial(write_comment, "POST", f"{event.pull_request}/comments", text)
        return calls.call(new, retry=False) if create else ""
    except GitHubError as error:
        calls.warn(Operation.COMMENT, error)
    return ""


def write_comment(verb: str, path: str, text: str, client: Client) -> str:
    """Create or edit a comment; return its address."""
    made = client.send(verb, f"issues/{path}", body={"body": client.redact(text)})
    check_id(made)
    return json_reader.safe_url(json_reader.at(made, "html_url"))


def delete_comment(comment: Comment, client: Client) -> None:
    client.send("DELETE", f"issues/comments/{comment.id}")
