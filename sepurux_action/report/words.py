"""How a place writes names, links, and sentences: Markdown in a comment or a summary, plain text in a log."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from sepurux_action.common import json_reader, number_format
from sepurux_action.common.wording import joined
from sepurux_action.config.command_line import in_workflow, on_command_line
from sepurux_action.errors import Problem
from sepurux_action.report import markdown
from sepurux_action.report.context import SHORT_SHA, Context
from sepurux_action.report.markdown import Markdown
from sepurux_action.report.report import GateFacts, Report
from sepurux_action.report.view import View

DOCS = "https://github.com/sepurux/gate-action/blob/main/docs/"
MAX_WHERE_LENGTH = 120  # characters of the place of a problem
MAX_PARAGRAPH_LENGTH = 600  # characters of a text of this program with foreign parts
SETTINGS_PAGES = {  # of a repository, as sentences name them
    "Settings > Secrets and variables > Actions": "/settings/secrets/actions",
    "Settings > Secrets and variables > Dependabot": "/settings/secrets/dependabot",
    "Settings > Rules > Rulesets": "/settings/rules",
}


def plain(value: object) -> Markdown:
    """Return what stands for a value in a text: nothing in it is invisible, and there is nothing else to escape."""
    return value if isinstance(value, Markdown) else Markdown(json_reader.printable(str(value)))


@dataclass(frozen=True)  # no slots: `cached_property` needs a `__dict__`
class Words:
    """The words of a log or a terminal. What its methods return is complete: no value in it needs to be escaped."""

    view: View
    as_markdown: ClassVar[bool] = False

    @property
    def report(self) -> Report:
        return self.view.report

    @property
    def context(self) -> Context:
        return self.view.report.context

    def value(self, value: object) -> Markdown:
        return plain(value)

    def code(self, name: str) -> Markdown:
        return self.value(name)

    def bold(self, sentence: str, **values: object) -> Markdown:
        return self(sentence, **values)

    def link(self, label: str, url: str) -> Markdown:  # noqa: ARG002 - for Markdown
        return Markdown(label)

    def page(self, label: str, page: str) -> Markdown:  # noqa: ARG002 - for Markdown
        """Return a sentence that links a page of the documentation; '' in plain text."""
        return Markdown("")

    def run(self, gate: GateFacts) -> Markdown:  # noqa: ARG002 - for Markdown
        """Return the link to a gate's run in Sepurux, with the name of a host that is not that of `base_url`."""
        return Markdown("Sepurux run")

    def prose(self, text: str, gate: GateFacts | None = None) -> Markdown:  # noqa: ARG002 - for Markdown
        """Return a text of this program, with links to the pages that it names: settings, and the run of the gate."""
        return self.value(self.worded(text))

    def problem(self, problem: Problem) -> Markdown:
        return self.value(problem.located)

    # -- sentences ----------------------------------------------------------------------------------------------------

    def __call__(self, sentence: str, **values: object) -> Markdown:
        """Return a sentence of this program with every value in braces escaped; it knows `base` and `push` itself."""
        push = "" if self.context.on_command_line else " and push"
        known = {"base": self.base, "push": Markdown(push), **values}
        return Markdown(sentence.format(**{name: self.value(each) for name, each in known.items()}))

    def when(self, condition: object, sentence: str, **values: object) -> Markdown:
        return self(sentence, **values) if condition else Markdown("")

    def paragraph(self, *sentences: Markdown) -> Markdown:
        return Markdown(joined(" ", *sentences))

    def listed(self, names: Iterable[str], word: str, most: int | None = None) -> Markdown:
        """Return names as code: `A and B`, or `A, B, and C`; after the first ones, how many more there are."""
        written = list(map(self.code, names))
        if most is not None and len(written) > most:
            written[most:] = [self("{more} more", more=len(written) - most)]
        before = ", ".join(written[:-1]) + ("," if written[2:] else "")
        return Markdown(joined(f" {word} ", before, *written[-1:]))

    def gates(self, gates: Iterable[GateFacts], most: int = 3) -> Markdown:
        return self.listed((gate.name for gate in gates), "and", most)

    def tools(self, tools: Iterable[tuple[str, int]]) -> Markdown:
        return Markdown(", ".join(f"{self.code(tool)} {number_format.count(count)}" for tool, count in tools))

    def commit(self, commit: str) -> Markdown:
        return self.code(commit[:SHORT_SHA])

    @cached_property
    def base(self) -> Markdown:
        unnamed = "the base" if self.context.on_command_line else "this branch"
        return self.code(self.context.base_ref) or Markdown(unnamed)

    @property
    def policy_branch(self) -> Markdown:
        return self.code(self.context.base_ref) or Markdown("the base branch")

    def worded(self, text: str) -> str:
        if self.view.place == "terminal" or self.context.on_command_line:
            return on_command_line(json_reader.printable(text))
        return in_workflow(text)


class MarkdownWords(Words):
    """The words of a comment or a summary."""

    as_markdown = True

    def value(self, value: object) -> Markdown:
        return markdown.as_markdown(value)

    def code(self, name: str) -> Markdown:
        return markdown.code(name)

    def bold(self, sentence: str, **values: object) -> Markdown:
        return markdown.strong(self(sentence, **values))

    def link(self, label: str, url: str) -> Markdown:
        return markdown.link(Markdown(label), url)

    def page(self, label: str, page: str) -> Markdown:
        return Markdown(f"{self.link(label, DOCS + page)}.")

    def run(self, gate: GateFacts) -> Markdown:
        if not gate.dashboard:
            return Markdown("Sepurux run")
        on_host = f" on {gate.dashboard.host}" if gate.dashboard.host else ""
        return markdown.link(f"Sepurux run{on_host}", gate.dashboard.url)

    def prose(self, text: str, gate: GateFacts | None = None) -> Markdown:
        urls = {title: self.context.page(path) for title, path in SETTINGS_PAGES.items()}
        pages = {title: self.link(title, url) for title, url in urls.items() if url}
        if gate and gate.dashboard:
            pages["Sepurux run"] = self.run(gate)
        return markdown.prose(self.worded(text), longest=MAX_PARAGRAPH_LENGTH, pages=pages)

    def problem(self, problem: Problem) -> Markdown:
        where = markdown.prose(problem.where, longest=MAX_WHERE_LENGTH)
        if problem.where.startswith("--"):
            where = self.code(problem.where)
        what = markdown.prose(problem.message, longest=MAX_PARAGRAPH_LENGTH)
        return Markdown(joined(": ", self.code(problem.location), where, what))
