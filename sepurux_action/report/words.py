"""How a place writes names, links, and sentences: Markdown in a comment or a summary, plain text in a log."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sepurux_action.common import json_reader
from sepurux_action.config.command_line import in_workflow, on_command_line
from sepurux_action.errors import Problem
from sepurux_action.report import markdown
from sepurux_action.report.context import SHORT_SHA, Context
from sepurux_action.report.gate_facts import GateFacts
from sepurux_action.report.markdown import Markdown
from sepurux_action.report.report import Report
from sepurux_action.report.view import View

DOCS = "https://github.com/sepurux/gate-action/blob/main/docs/"
MAX_WHERE_LENGTH = 120  # characters of the place of a problem
MAX_PARAGRAPH_LENGTH = 600  # characters of a text of this program with foreign parts
SETTINGS_PAGES = {  # of a repository, as sentences name them
    "Settings > Secrets and variables > Actions": "/settings/secrets/actions",
    "Settings > Secrets and variables > Dependabot": "/settings/secrets/dependabot",
    "Settings > Rules > Rulesets": "/settings/rules",
}


@dataclass(frozen=True, slots=True)
class Words:
    """The words of one place. What its methods return is complete: Markdown, or printable text."""

    view: View
    as_markdown: bool

    @property
    def report(self) -> Report:
        return self.view.report

    @property
    def context(self) -> Context:
        return self.view.report.context

    def __call__(self, sentence: str, **values: object) -> Markdown:
        """Return a sentence of this program, in which every value in braces is escaped."""
        return Markdown(sentence.format(**{name: self.value(each) for name, each in values.items()}))

    def value(self, value: object) -> Markdown:
        if isinstance(value, Markdown):
            return value
        return markdown.escaped(str(value)) if self.as_markdown else Markdown(json_reader.printable(str(value)))

    def code(self, name: str) -> Markdown:
        return markdown.code(name) if self.as_markdown else self.value(name)

    def bold(self, sentence: Markdown) -> Markdown:
        return Markdown(f"**{sentence}**") if self.as_markdown else sentence

    def link(self, label: str, url: str) -> Markdown:
        return markdown.link(Markdown(label), url) if self.as_markdown else Markdown(label)

    def paragraph(self, *sentences: Markdown) -> Markdown:
        return Markdown(" ".join(filter(None, sentences)))

    def page_of(self, label: str, page: str) -> Markdown:
        """Return a sentence that links a page of the documentation; '' in plain text."""
        return Markdown(f"{self.link(label, DOCS + page)}.") if self.as_markdown else Markdown("")

    def listed(self, names: Sequence[str], word: str) -> Markdown:
        written = list(map(self.code, names))
        return Markdown(f" {word} ".join(filter(None, [", ".join(written[:-1]), *written[-1:]])))

    def names(self, names: Iterable[str], most: int) -> Markdown:
        every = list(map(self.code, names))
        more = f", and {len(every) - most} more" if every[most:] else ""
        return Markdown(", ".join(every[:most]) + more)

    def gates(self, gates: Iterable[GateFacts], most: int = 3) -> Markdown:
        return self.names((gate.name for gate in gates), most)

    @property
    def base(self) -> Markdown:
        """Return the branch that a gate is compared with."""
        return self.code(self.context.base_ref) or Markdown("this branch")

    @property
    def policy_branch(self) -> Markdown:
        return self.code(self.context.base_ref) or Markdown("the base branch")

    def commit(self, commit: str) -> Markdown:
        return self.code(commit[:SHORT_SHA])

    def run(self, gate: GateFacts) -> Markdown:
        """Return the link to a gate's run in Sepurux, with the name of a host that is not that of `base_url`."""
        if not (self.as_markdown and gate.dashboard):
            return Markdown("Sepurux run")
        host = f" on {gate.dashboard.host}" if gate.dashboard.host else ""
        return markdown.link(f"Sepurux run{host}", gate.dashboard.url)

    def worded(self, text: str, *, of_policy: bool = False) -> str:
        """Return a text with the names that settings have where it is read."""
        if self.view.place == "terminal" or self.context.on_command_line:
            return on_command_line(json_reader.printable(text), of_policy=of_policy)
        return in_workflow(text)

    def prose(self, text: str, gate: GateFacts | None = None) -> Markdown:
        """Return a text of this program, with links to the pages that it names: settings, and the run of the gate."""
        text = self.worded(text)
        if not self.as_markdown:
            return self.value(text)
        urls = {title: self.context.page(path) for title, path in SETTINGS_PAGES.items()}
        pages = {title: self.link(title, url) for title, url in urls.items() if url}
        if gate and gate.dashboard:
            pages["Sepurux run"] = self.run(gate)
        return markdown.prose(text, longest=MAX_PARAGRAPH_LENGTH, pages=pages)

    def problem(self, problem: Problem) -> Markdown:
        """Return the place of a problem, its setting, and what it is."""
        if not self.as_markdown:
            text = self.worded(str(problem), of_policy=bool(problem.file))
            return self.value(f"{problem.location}: {text}" if problem.location else text)
        page = self.context.page(f"/blob/{self.context.policy_ref}/{problem.file}#L{problem.line}")
        place = markdown.link(self.code(problem.location), page) if problem.location else ""
        where = problem.where
        setting = self.code(where) if where.startswith("--") else markdown.prose(where, longest=MAX_WHERE_LENGTH)
        what = markdown.prose(problem.message, longest=MAX_PARAGRAPH_LENGTH)
        return Markdown(": ".join(filter(None, (place, setting, what))))
