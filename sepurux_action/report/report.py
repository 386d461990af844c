"""The report as data: texts, tuples, and truth values, for templates that only loop and branch.

A text that is not `Markdown` is escaped when it is rendered.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import islice
from typing import assert_never
from urllib.parse import urlsplit

from sepurux_action.common import number_format
from sepurux_action.common.json_reader import Metric
from sepurux_action.config.gate import Gate
from sepurux_action.config.policy import Change
from sepurux_action.config.stage import OnUndecided, Stage
from sepurux_action.errors import Problem
from sepurux_action.evaluation import published_result
from sepurux_action.evaluation.approval import ApprovalStatus, Reason
from sepurux_action.evaluation.ci_run import CIRun, ClassifiedFailure, severity_rank
from sepurux_action.evaluation.comparison import (
    BY_THRESHOLD,
    MEASURES,
    NOT_KNOWN,
    Measure,
    change,
    metrics_text,
    shown,
    trend_text,
)
from sepurux_action.evaluation.decision import Check, CheckState, Decision, Rule
from sepurux_action.evaluation.enforcement import enforce
from sepurux_action.evaluation.published_result import CommitResults, Metrics, PreviousResult
from sepurux_action.evaluation.result import GateResult, RunResult, trace_may_be_cause
from sepurux_action.report.markdown import bar, chart, code, code_block, join, link, prose, sparkline, strong, text
from sepurux_action.report.reproduction import command_lines

MAX_ROWS = 100  # of tools and of categories; further ones are only counted
VISIBLE_ROWS = 10  # rows of a table that are not collapsed
MAX_REASON_LENGTH = 600  # characters
MAX_EXAMPLE_LENGTH = 200  # characters
MAX_CELL_LENGTH = 120  # characters of a sentence in a table
KEPT_BEFORE = 20  # characters of two long values that are the same, before what differs
MAX_NAMED = 3  # gates that a note names; the others are counted
MAX_SEVERITY_LENGTH = 24  # characters
MAX_BASE_LENGTH = 40  # characters of a branch in a table's heading
MAX_HOST_LENGTH = 60  # characters; the end of a host's name tells whose it is, so the start is cut
NO_BREAK = "\u00a0"  # a symbol stays on the line of its word
SHORT_SHA = 7  # digits, as GitHub shows a commit
MIN_CHARTED = 3  # points; two are told better in words

_SYMBOLS = {
    Decision.FAIL: "✗ fail",
    Decision.ERROR: "! error",
    Decision.PENDING: "… pending",
    Decision.PASS: "✓ pass",
    Decision.SKIPPED: "– not affected",
}
_WELL = frozenset({Decision.PASS, Decision.SKIPPED})
_CHECKS = {CheckState.MET: "✓", CheckState.BROKEN: "✗", CheckState.NOT_REPORTED: "?", CheckState.NO_NUMBER: "?"}


HOW_TO_REPRODUCE = (
    "In a checkout of this commit, in an environment with the command line of sepurux/gate-action "
    "(docs/configuration.md there tells how to install it). A policy file in the checkout would overrule these flags: "
    "move it away first."
)


SHORT = "The run was cancelled, so this report leaves out the details."


class BlockKind(StrEnum):
    """The content of a block."""

    PROBLEMS = "problems"
    GATES = "gates"
    POLICY = "policy"
    TRACES = "traces"
    BROKEN = "broken"
    THRESHOLDS = "thresholds"
    METRICS = "metrics"
    CHART = "chart"
    RATES = "rates"
    TOOLS = "tools"
    FAILURES = "failures"
    REASONS = "reasons"
    CATEGORIES = "categories"
    HISTORY = "history"
    REPRODUCTION = "reproduction"
    NOTES = "notes"
    PROVENANCE = "provenance"


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The commit, the pull request, and the workflow run of a report; '' and None for what is unknown.

    `policy_changes` is what the pull request changes in the policy. `baselines` is the last result of the base branch
    by the gate's name. `history` is the results of the pull request's earlier commits, the oldest first.
    """

    repository: str = ""
    commit: str = ""
    commit_url: str = ""
    run_url: str = ""
    base_url_host: str = ""
    pull_request: int | None = None
    version: str = ""
    notes: tuple[str, ...] = ()
    policy_changes: tuple[Change, ...] = ()
    baselines: Mapping[str, PreviousResult] = field(default_factory=dict)
    base_ref: str = ""
    history: tuple[CommitResults, ...] = ()


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table; numbers are aligned to the right."""

    heading: str
    numbers: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A table with a title, or without `columns` a list, or `paragraphs`; `lead` is a sentence before it.

    The first `visible_rows` rows are visible, the others are collapsed.
    """

    kind: BlockKind
    title: str
    rows: tuple[tuple[str, ...], ...]
    lead: str = ""
    columns: tuple[Column, ...] = ()
    paragraphs: bool = False
    visible_rows: int = VISIBLE_ROWS
    left_out: int = 0

    @property
    def visible(self) -> tuple[tuple[str, ...], ...]:
        """Return the rows that are not collapsed."""
        return self.rows[: self.visible_rows]

    @property
    def collapsed(self) -> tuple[tuple[str, ...], ...]:
        """Return the rows that are collapsed."""
        return self.rows[self.visible_rows :]

    @property
    def collapsed_title(self) -> str:
        """Return the title of the collapsed rows."""
        return f"{len(self.collapsed):,} more" if self.visible_rows else self.title

    @property
    def left_out_note(self) -> str:
        """Return the sentence about rows that were left out, or ''."""
        if not self.left_out:
            return ""
        lost = "" if self.paragraphs else f"{number_format.pluralize(self.left_out, 'row')} "
        return f"{self.title.partition(' (')[0]}: {lost}left out, the report would be too long."

    def keep(self, rows: int) -> Block:
        """Return the block with its first rows; the others are counted as left out."""
        lost = max(0, len(self.rows) - rows)
        return replace(self, rows=self.rows[:rows], left_out=self.left_out + lost)


@dataclass(frozen=True, slots=True, kw_only=True)
class Callout:
    """The most important sentences. `alert` is GitHub's word for the kind of box, '' for plain paragraphs."""

    alert: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """The part of a report about one of several gates; `closed` if the gate blocks."""

    title: str
    callout: Callout | None
    links: str
    blocks: tuple[Block, ...]
    collapsed: bool = False
    closed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A report. `headline` is one line that is not escaped, also for the log and an annotation.

    `fuller` is the sentence that links to the job summary, for a comment that leaves something out.
    """

    headline: str
    title: str
    callout: Callout
    links: str
    blocks: tuple[Block, ...] = ()
    sections: tuple[Section, ...] = ()
    notes: tuple[Block, ...] = ()
    left_out_note: str = ""
    fuller: str = ""
    footer: str = ""

    @property
    def shortened(self) -> bool:
        """Return whether anything was left out."""
        blocks = (*self.blocks, *self.notes, *(block for section in self.sections for block in section.blocks))
        return bool(self.left_out_note) or any(block.left_out for block in blocks)


def build_report(results: Sequence[GateResult], context: Context, *, short: bool = False) -> Report:
    """Return the report on one or more gates.

    A `short` report takes little time, even if the backend reported much: it leaves out what failed and the sections.
    """
    worst = _by_weight(results)[0]
    footer = f"sepurux/gate-action {context.version}".rstrip()
    fuller = join(["The", link("job summary", context.run_url), "keeps more."]) if context.run_url else ""
    if len(results) == 1:
        return Report(
            headline=_headline(worst),
            title=join([_symbol(worst), "Sepurux gate", code(worst.gate.name), _outcome(worst)]),
            callout=_callout(worst, context),
            links=_links(worst, context),
            blocks=(*_policy(context), *_blocks(worst, context, short=short)),
            notes=() if short else _notes(results, context),
            left_out_note=SHORT if short else "",
            fuller=fuller,
            footer=footer,
        )
    tally, all_well = _tally(results), "" if worst.decision not in _WELL else _how_many_passed(results)
    return Report(
        headline=f"Sepurux: {tally}. {all_well or _headline(worst)}",
        title=join([_symbol(worst), f"Sepurux: {tally}"]),
        callout=Callout(alert="", lines=(strong(all_well),)) if all_well else _callout(worst, context, named=True),
        links=_links(None, context),
        blocks=(_gates(results, context), *_policy(context)),
        sections=()
        if short
        else tuple(
            _section(result, context, already_shown=result is worst and not all_well) for result in _by_weight(results)
        ),
        notes=() if short else _notes(results, context),
        left_out_note=SHORT if short else "",
        fuller=fuller,
        footer=footer,
    )


def build_settings_report(problems: Sequence[Problem], context: Context) -> Report:
    """Return the report on settings that cannot be used: every problem, and that nothing was evaluated."""
    count = number_format.pluralize(len(problems), "problem")
    return Report(
        headline=f"Sepurux gate: the settings cannot be used ({count}), so nothing was evaluated and the gate is "
        "closed.",
        title=join(["❗", f"Sepurux gate: the settings have {count}"]),
        callout=Callout(
            alert="WARNING",
            lines=(
                strong("The gate is closed: without usable settings nothing was evaluated."),
                join([strong("Next:"), "Correct what is listed here, then run the workflow again."]),
            ),
        ),
        links=_links(None, context),
        blocks=(
            Block(
                kind=BlockKind.PROBLEMS,
                title="To correct",
                rows=tuple(
                    (
                        join(
                            [
                                code(problem.location, longest=MAX_CELL_LENGTH) if problem.location else "",
                                prose(problem.where, longest=MAX_CELL_LENGTH),
                                prose(problem.message),
                            ],
                            by=": ",
                        ),
                    )
                    for problem in problems
                ),
                visible_rows=5 * VISIBLE_ROWS,
            ),
            *_policy(context),
        ),
        notes=_notes((), context),
        footer=f"sepurux/gate-action {context.version}".rstrip(),
    )


def _headline(result: GateResult) -> str:
    state = "needs an approval" if result.needs_approval else f"is {_state(result)}"
    if result.approval and result.approval.approved:
        state = f"is approved by {', '.join(result.approval.approved_by)}"
    return (
        f"Sepurux gate {result.gate.name}: {result.decision} ({result.gate.stage}), the gate {state}. {result.reason}"
    )


def _tally(results: Sequence[GateResult]) -> str:
    """Return how many gates block, and how many of these wait for a review."""
    waiting = sum(result.needs_approval for result in results)
    closed = sum(result.conclusion.blocks for result in results) - waiting
    waits = f"{'waits' if waiting == 1 else 'wait'} for a review"
    if not closed:
        return f"{waiting} of {len(results)} gates {waits}" if waiting else f"all {len(results)} gates are open"
    tally = f"{closed} of {len(results)} gates {'is' if closed == 1 else 'are'} closed"
    return f"{tally}, {waiting} {waits}" if waiting else tally


def _how_many_passed(results: Sequence[GateResult]) -> str:
    """Return how many gates passed and how many were skipped, if none failed."""
    others = sum(result.decision is Decision.SKIPPED for result in results)
    if others in {0, len(results)}:
        return "No gate is affected." if others else "Every gate passed."
    return f"{len(results) - others} passed, {others} {'is' if others == 1 else 'are'} not affected."


def _state(result: GateResult) -> str:
    if result.needs_approval:
        return "waiting"
    return "closed" if result.conclusion.blocks else "open"


def _opened(result: GateResult) -> bool:
    """Return whether a review opened the gate."""
    return result.decision is Decision.FAIL and result.gate.stage is Stage.SOFT and not result.conclusion.blocks


def _symbol(result: GateResult) -> str:
    match result.decision:
        case Decision.FAIL if result.needs_approval:
            return "✋"
        case Decision.PASS:
            return "✅"
        case Decision.FAIL:
            return "❌" if result.conclusion.blocks else "⚠️"
        case Decision.ERROR:
            return "❗"
        case Decision.PENDING:
            return "⏳"
        case Decision.SKIPPED:
            return "⏭️"
        case _:
            assert_never(result.decision)


def _outcome(result: GateResult) -> str:
    match result.decision:
        case Decision.PASS:
            return "passed"
        case Decision.FAIL if result.needs_approval:
            return "waits for a review"
        case Decision.FAIL if result.conclusion.blocks:
            return "failed"
        case Decision.FAIL if _opened(result):
            return "failed, opened by a review"
        case Decision.FAIL:
            return "failed, not blocked"
        case Decision.ERROR:
            return "has no verdict" if result.conclusion.blocks else "has no verdict, not blocked"
        case Decision.PENDING:
            return "is not decided yet" if result.conclusion.blocks else "is not decided yet, not blocked"
        case Decision.SKIPPED:
            return "is not affected"
        case _:
            assert_never(result.decision)


def _callout(result: GateResult, context: Context, *, named: bool = False) -> Callout:
    state = "closed" if result.conclusion.blocks else "open"
    gate = join(["The gate", code(result.gate.name) if named else "", f"is {state}:"])
    lines = (
        strong(join([gate, prose(f"{result.conclusion.because}.")])),
        prose(result.reason, longest=MAX_REASON_LENGTH),
        prose(_stage_sentence(result, context), longest=MAX_REASON_LENGTH),
        join([strong("Next:"), next_step]) if (next_step := _next_step(result, context)) else "",
    )
    return Callout(alert=_alert(result), lines=tuple(line for line in lines if line))


def _alert(result: GateResult) -> str:
    if result.decision in _WELL:
        return ""
    if not result.conclusion.blocks:
        return "NOTE"
    if result.needs_approval:
        return "IMPORTANT"
    return "CAUTION" if result.decision is Decision.FAIL else "WARNING"


def _stage_sentence(result: GateResult, context: Context) -> str:
    """Return what the stage means for this result; '' if the next step says it."""
    if result.approval:
        return "" if result.needs_approval else _approval_sentences(result.approval)
    match result.gate.stage:
        case Stage.OBSERVE if result.decision is not Decision.SKIPPED:
            hard = enforce(
                result.decision,
                Stage.HARD,
                result.gate.on_undecided,
                trace_may_be_cause=trace_may_be_cause(result.runs),
            )
            return f"In stage `hard` this would have been {'blocked' if hard.blocks else 'let through'}."
        case Stage.SOFT if result.decision is Decision.FAIL and context.pull_request is None:
            return "Without a pull request no review can open a gate of stage `soft`."
        case Stage.SOFT if result.decision is Decision.FAIL and result.conclusion.blocks:
            return "In stage `soft` an approving review of this commit opens the gate."
        case Stage.OBSERVE | Stage.SOFT | Stage.HARD:
            return ""
        case _:
            assert_never(result.gate.stage)


def _next_step(result: GateResult, context: Context) -> str:
    if result.needs_approval and result.approval:
        return prose(_approval_sentences(result.approval), longest=MAX_REASON_LENGTH)
    return prose(result.worst.hint or _usual_step(result, context))


_REASONS = {
    Reason.BOT: "is a bot",
    Reason.AUTHOR: "is the author of the pull request",
    Reason.NOT_LISTED: "is not listed in `reviewers`",
    Reason.NO_WRITE_ACCESS: "has no write access",
}


def _approval_sentences(approval: ApprovalStatus) -> str:
    """Return who approved a gate, or who can."""
    if approval.approved:
        return f"Approved by {_names(approval.approved_by, 'and')}. The failure does not block."
    who = "Anyone with write access except the author" if approval.anyone else _names(approval.can_approve, "or")
    refusals = ", ".join(f"`{each.login}` {_REASONS[each.reason]}" for each in approval.cannot_approve)
    if approval.unread:
        sentences = ["The reviews could not be read. Re-run the job."]
    elif approval.possible:
        sentences = [f"{who} can approve commit `{approval.commit[:SHORT_SHA]}`, or you can push a fix."]
    else:
        sentences = [f"None of the reviewers listed in the policy can approve this: {refusals}."]
    sentences += [
        f"`{each.login}`'s approval is for an older commit."
        if each.reason is Reason.OLDER_COMMIT
        else f"`{each.login}`'s approval does not count: `{each.login}` {_REASONS[each.reason]}."
        for each in approval.ignored
    ]
    if approval.rerun_needed:
        sentences.append("After the approval, re-run this job: this workflow does not run on `pull_request_review`.")
    if approval.read_only:
        sentences.append("On a review of a pull request from a fork, the token can only read: use `workflow_run`.")
    return " ".join(sentences)


def _names(logins: Sequence[str], word: str) -> str:
    *first, last = (f"`{login}`" for login in logins) if logins else ("",)
    return f"{', '.join(first)} {word} {last}" if first else last


def _usual_step(result: GateResult, context: Context) -> str:
    match result.decision:
        case Decision.PASS | Decision.SKIPPED:
            return ""
        case Decision.FAIL if not result.conclusion.blocks:
            return "Look at what failed; it was let through this time."
        case Decision.FAIL if result.gate.stage is Stage.SOFT and context.pull_request and result.approval is None:
            return "Fix what failed and push, or ask an eligible reviewer for that approval."
        case Decision.FAIL:
            return "Fix what failed and push: the gate evaluates the new commit."
        case Decision.PENDING:
            waited = number_format.duration(result.gate.timeout_s)
            return f"See whether the evaluation still moves; if it needs longer, raise `timeout` (now {waited})."
        case Decision.ERROR if result.worst.verdict.rule is Rule.PASS_WITHOUT_NUMBERS:
            return "Ask Sepurux why this run does not report what these thresholds need."
        case Decision.ERROR:
            return "Run the job again; if that changes nothing, the log of this step tells more."
        case _:
            assert_never(result.decision)


def _links(result: GateResult | None, context: Context) -> str:
    commit = code(context.commit[:SHORT_SHA])
    return join(
        [
            "" if result is None else _dashboard(result.worst, context),
            link("Workflow run", context.run_url) if context.run_url else "",
            join(["Commit", link(commit, context.commit_url)], by=NO_BREAK) if commit else "",
        ],
        by=" · ",
    )


def _dashboard(run: RunResult, context: Context, *, here: str = "Open in Sepurux", away: str = "Open on") -> str:
    """Return a link to a run whose text names the host, unless it is the backend's own (contract, section 8)."""
    address = run.run.dashboard_url
    if not address:
        return ""
    host = (urlsplit(address).hostname or "").lower()
    if host == context.base_url_host.lower():
        return link(here, address)
    shown = host if len(host) <= MAX_HOST_LENGTH else "…" + host[1 - MAX_HOST_LENGTH :]
    return link(f"{away} {shown}", address)


def _run(run: RunResult, context: Context) -> str:
    """Return the link for a table's cell."""
    return _dashboard(run, context, here="run", away="run on")


def _by_weight(results: Iterable[GateResult]) -> list[GateResult]:
    """Return the gates in the order of a reader's interest: closed, waiting, open; in each the worst decision first."""
    return sorted(results, key=lambda each: (not each.conclusion.blocks, each.needs_approval, each.severity_key))


def _gates(results: Sequence[GateResult], context: Context) -> Block:
    def row(result: GateResult) -> tuple[str, ...]:
        rate = _pass_rate(result.combined, result.gate)
        verdict = join([_SYMBOLS[result.decision], "" if rate == NOT_KNOWN else rate], by=", ")
        return (
            code(result.gate.name),
            join([verdict, _run(result.worst, context)], by=" · "),
            f"{_state(result)} ({result.gate.stage})",
        )

    return Block(
        kind=BlockKind.GATES,
        title="Gates",
        columns=(Column("Gate"), Column("Verdict"), Column("Gate is")),
        rows=tuple(map(row, _by_weight(results))),
        visible_rows=3 * VISIBLE_ROWS,
    )


def _policy(context: Context) -> tuple[Block, ...]:
    """Return the block of policy changes, if there are any."""
    base = code(context.base_ref, longest=MAX_BASE_LENGTH) or "the base branch"

    def row(change: Change) -> tuple[str, ...]:
        old, new = (code(each, longest=MAX_CELL_LENGTH) or "not given" for each in _from_difference(change))
        return code(change.where, longest=MAX_CELL_LENGTH), old, new

    if not context.policy_changes:
        return ()
    return (
        Block(
            kind=BlockKind.POLICY,
            title="This pull request changes the policy",
            lead=join(["Until it is merged, the policy of", base, "rules, and this report follows that one."]),
            columns=(Column("Setting"), Column("Rules now"), Column("Once merged")),
            rows=tuple(map(row, context.policy_changes)),
        ),
    )


def _from_difference(change: Change) -> tuple[str, str]:
    """Return both values, shortened at their common beginning so that the difference stays visible."""
    old, new = change.old, change.new
    differs = next(
        (at for at, pair in enumerate(zip(old, new, strict=False)) if len(set(pair)) > 1), min(len(old), len(new))
    )
    start = differs - KEPT_BEFORE
    if start <= 0 or max(len(old), len(new)) <= MAX_CELL_LENGTH:
        return old, new
    return f"…{old[start:]}", f"…{new[start:]}"


def _section(result: GateResult, context: Context, *, already_shown: bool) -> Section:
    """Return a gate's section, without what the top of the report already says."""
    return Section(
        title=join([_symbol(result), code(result.gate.name), _outcome(result)]),
        callout=None if already_shown else _callout(result, context),
        links=_dashboard(result.worst, context),
        blocks=_blocks(result, context),
        collapsed=result.decision in _WELL,
        closed=result.conclusion.blocks,
    )


def _blocks(result: GateResult, context: Context, *, short: bool = False) -> tuple[Block, ...]:
    if result.decision is Decision.SKIPPED:
        return ()
    if short:
        most_important = (_broken(result, context), _thresholds(result), _provenance(result, context))
        return tuple(block for block in most_important if block.rows)
    found = (
        _broken(result, context),
        _traces(result, context),
        _thresholds(result),
        _metrics(result, context),
        _chart(result, context),
        _rates(result),
        _tools(result),
        _failures(result),
        _categories(result),
        _reasons(result),
        _history(result, context),
        _reproduction(result, context),
        _provenance(result, context),
    )
    return tuple(block for block in found if block.rows)


def _of(result: GateResult) -> str:
    return "" if len(result.runs) == 1 else f", worst of {len(result.runs)} traces"


def _traces(result: GateResult, context: Context) -> Block:
    def row(run: RunResult) -> tuple[str, ...]:
        unsafe = run.run.unsafe_attempts.value
        verdict = join([_SYMBOLS[run.decision], strong("worst") if run is result.worst else ""], by=", ")
        return (
            code(run.trace),
            join([verdict, f"{number_format.count(unsafe)} unsafe" if unsafe else "", _run(run, context)], by=" · "),
            _pass_rate(run.run, result.gate),
        )

    return Block(
        kind=BlockKind.TRACES,
        title=f"Traces ({len(result.runs)})",
        columns=(Column("Trace"), Column("Verdict"), Column("Passed", numbers=True)),
        rows=tuple(map(row, result.ranked)) if len(result.runs) > 1 else (),
    )


def _thresholds(result: GateResult) -> Block:
    def row(check: Check) -> tuple[str, ...]:
        known = check.state in {CheckState.MET, CheckState.BROKEN}
        off_by = f"({check.margin})" if known and check.margin else ""
        return (
            join([_CHECKS[check.state], check.label], by=NO_BREAK),
            _shortened(check.required),
            join([text(check.actual, longest=MAX_CELL_LENGTH), text(off_by, longest=MAX_CELL_LENGTH), _share(check)]),
        )

    return Block(
        kind=BlockKind.THRESHOLDS,
        title=f"All thresholds{_of(result)}",
        columns=(Column("Measure"), Column("Needed"), Column("Actual (margin)")),
        rows=tuple(map(row, result.checks)),
    )


def _share(number: Check | Metric) -> str:
    """Return how many of the traces report a number, '' where all do."""
    return text(f"· {number.reported_by}") if number.reported_by else ""


def _broken(result: GateResult, context: Context) -> Block:
    baseline, now = context.baselines.get(result.gate.name), published_result.summarize(result)
    compared = _compared_with(result, context) if baseline else ""

    def row(check: Check) -> tuple[str, ...]:
        measure = BY_THRESHOLD.get(check.threshold)
        actual = text(check.actual, longest=MAX_CELL_LENGTH)
        off_by = "" if measure else text(f"({check.margin})", longest=MAX_CELL_LENGTH)
        by = _change(measure, now, baseline) if measure else NOT_KNOWN
        return (
            join([_CHECKS[check.state], check.label], by=NO_BREAK),
            join([actual, off_by, "· needs", _shortened(check.required), _share(check)]),
            *((by,) if compared else ()),
        )

    return Block(
        kind=BlockKind.BROKEN,
        title=f"Broken thresholds{_of(result)}",
        columns=(Column("Threshold"), Column("Actual"), *((Column(join(["vs", compared])),) if compared else ())),
        rows=tuple(row(check) for check in result.checks if check.state is CheckState.BROKEN),
    )


def _shortened(required: str) -> str:
    """Return the requirement with ≥ or ≤ in place of words, so that tables fit on a phone."""
    for words, sign in (("at least ", "≥"), ("at most ", "≤")):
        if required.startswith(words):
            return join([sign, text(required.removeprefix(words), longest=MAX_CELL_LENGTH)], by=NO_BREAK)
    return text(required, longest=MAX_CELL_LENGTH)


def _compared_with(result: GateResult, context: Context) -> str:
    """Return what the gate's numbers are compared with; '' if nothing."""
    if context.base_ref:
        return code(context.base_ref, longest=MAX_BASE_LENGTH)
    return "before" if result.gate.name in context.baselines else ""


def _earlier(result: GateResult, context: Context) -> list[tuple[str, PreviousResult]]:
    """Return the gate's results of earlier commits, the oldest first."""
    name = result.gate.name
    return [(each.commit, each.results[name]) for each in context.history if name in each.results]


def _metrics(result: GateResult, context: Context) -> Block:
    run, now, baseline = result.combined, published_result.summarize(result), context.baselines.get(result.gate.name)
    series = [*(each for _, each in _earlier(result, context)), now]
    base = _compared_with(result, context)
    compared = base if baseline else ""

    def row(measure: Measure) -> tuple[str, ...]:
        known = measure.of(now.metrics) is not None
        by = join(["(", _change(measure, now, baseline), ")"], by="") if compared and known else ""
        return (
            measure.label,
            join([shown(measure, now, baseline), by, _share(measure.metric(run))]),
            _trend(measure, series),
        )

    numbers = [row(measure) for measure in MEASURES if measure.of(now.metrics) is not None or _trend(measure, series)]
    was = f"(was {_SYMBOLS[baseline.decision]})" if baseline else ""
    passed = f"{sum(each.decision is Decision.PASS for each in series)} of {len(series)} passed"
    columns = (
        Column("Metric"),
        Column(join(["Now, vs", compared]) if compared else "Now"),
        *((Column("Over this pull request"),) if len(series) > 1 else ()),
    )
    rows = [("Verdict", join([_SYMBOLS[now.decision], was]), passed), *numbers]
    return Block(
        kind=BlockKind.METRICS,
        title=f"Metrics{' and their trend' if len(series) > 1 else ''}{_of(result)}",
        columns=columns,
        rows=tuple(row[: len(columns)] for row in rows) if numbers and (base or len(series) > 1) else (),
        visible_rows=0 if now.metrics == Metrics() else VISIBLE_ROWS,
    )


def _change(measure: Measure, now: PreviousResult, baseline: PreviousResult | None) -> str:
    arrow, _, words = change(measure, now, baseline).partition(" ")
    return join([arrow, words], by=NO_BREAK)


def _trend(measure: Measure, series: Sequence[PreviousResult]) -> str:
    """Return a number's values over the commits, as a sparkline and as text; '' if fewer than two are known."""
    words = trend_text(measure, series)
    return join([sparkline([measure.of(each.metrics) for each in series]), words]) if words else ""


def _chart(result: GateResult, context: Context) -> Block:
    points = [(commit, each.metrics.pass_rate) for commit, each in _earlier(result, context)]
    points.append((context.commit, published_result.summarize(result).metrics.pass_rate))
    known = [(commit[:SHORT_SHA], rate * 100) for commit, rate in points if rate is not None]
    drawn = chart("passed, %", known) if len(known) >= MIN_CHARTED else ""
    return Block(
        kind=BlockKind.CHART,
        title=f"Pass rate over this pull request{_of(result)}",
        rows=((drawn,),) if drawn else (),
        paragraphs=True,
    )


def _history(result: GateResult, context: Context) -> Block:
    earlier, here = _earlier(result, context), published_result.summarize(result)
    before = context.commit_url.removesuffix(context.commit)

    def row(commit: str, each: PreviousResult) -> tuple[str, ...]:
        name = code(commit[:SHORT_SHA])
        return (
            join(
                [
                    link(name, before + commit) if before != context.commit_url else name,
                    "(this one)" if each is here else "",
                ]
            ),
            f"{_SYMBOLS[each.decision]} ({each.stage})",
            metrics_text(each.metrics) or NOT_KNOWN,
        )

    return Block(
        kind=BlockKind.HISTORY,
        title=f"History: {number_format.pluralize(len(earlier), 'earlier commit')}",
        columns=(Column("Commit"), Column("Verdict"), Column("Numbers")),
        rows=tuple(row(*each) for each in [(context.commit, here), *reversed(earlier)]) if earlier else (),
        visible_rows=0,
    )


def _reproduction(result: GateResult, context: Context) -> Block:
    return Block(
        kind=BlockKind.REPRODUCTION,
        title="How to reproduce",
        rows=(
            (HOW_TO_REPRODUCE,),
            (code_block(command_lines(result.gate, context.base_url_host)),),
        ),
        paragraphs=True,
        visible_rows=0,
    )


def _rates(result: GateResult) -> Block:
    run, asked = result.combined, result.gate.thresholds
    rates = (
        ("Pass rate", run.pass_rate, 1, lambda rate: number_format.percent(rate, distinct_from=asked.min_pass_rate)),
        (
            "Reliability score",
            run.reliability_score,
            100,
            lambda score: number_format.score(score, distinct_from=asked.min_reliability_score),
        ),
        ("Scenario coverage", run.scenario_coverage, 100, lambda share: number_format.percent(share / 100)),
        ("Mutation coverage score", run.mutation_coverage, 100, number_format.decimal),
    )
    return Block(
        kind=BlockKind.RATES,
        title=f"Rates{_of(result)}",
        columns=(Column("Rate"), Column(""), Column("Value", numbers=True)),
        rows=tuple(
            (label, bar(metric.value / full), join([write(metric.value), _share(metric)]))
            for label, metric, full, write in rates
            if metric.value is not None
        ),
    )


def _tools(result: GateResult) -> Block:
    tools = result.combined.top_failing_tools
    return Block(
        kind=BlockKind.TOOLS,
        title="Top failing tools",
        columns=(Column("Tool"), Column("Failures", numbers=True)),
        rows=tuple((code(each.tool), number_format.count(each.count)) for each in tools[:MAX_ROWS]),
        left_out=max(0, len(tools) - MAX_ROWS),
    )


def _failures(result: GateResult) -> Block:
    groups: dict[tuple[str, str], list[ClassifiedFailure]] = {}
    for run in result.runs:
        for failure in run.enrichment.failures:
            groups.setdefault((failure.severity, failure.type), []).append(failure)

    def count(members: list[ClassifiedFailure]) -> int:
        return sum(failure.count for failure in members)

    def weight(group: tuple[tuple[str, str], list[ClassifiedFailure]]) -> tuple[int, int]:
        return severity_rank(group[0][0]), -count(group[1])

    def row(group: tuple[tuple[str, str], list[ClassifiedFailure]]) -> tuple[str, ...]:
        (severity, kind), members = group
        example = next((failure for failure in members if failure.description), members[0])
        return (
            join(
                [
                    strong(text(severity or "no severity", longest=MAX_SEVERITY_LENGTH)),
                    code(kind) or "no type",
                    f"({number_format.count(count(members))}):",
                    text(example.description, longest=MAX_EXAMPLE_LENGTH) or "no description.",
                    join(["Mutation:", code(example.mutation)]) if example.mutation else "",
                ]
            ),
        )

    left_out = sum(run.enrichment.left_out for run in result.runs)
    read = number_format.count(sum(map(count, groups.values())) + left_out)
    rest = f"Other kinds ({number_format.count(left_out)}): not listed, the report would be too long."
    more = any(run.enrichment.more_failures for run in result.runs)
    return Block(
        kind=BlockKind.FAILURES,
        title=f"Classified failures ({read}{', and more that were not read' if more else ''})",
        rows=(*map(row, sorted(groups.items(), key=weight)), *(((rest,),) if left_out else ())),
    )


def _categories(result: GateResult) -> Block:
    required = result.gate.thresholds.required_mutation_categories
    reported = dict.fromkeys(name for run in result.runs for name in run.run.mutation_categories or ())
    covered = frozenset(result.combined.mutation_categories or ())
    lacking = {
        name: f"✗ {'not in every trace' if name in reported else 'no'}, but required"
        for name in required
        if result.combined.mutation_categories is not None and name not in covered
    }

    def state(name: str) -> str:
        if name not in covered:
            return "in some traces"
        return "✓ yes, required" if name in required else "✓ yes"

    rows = lacking | {name: state(name) for name in reported if name not in lacking}

    return Block(
        kind=BlockKind.CATEGORIES,
        title="Mutation categories",
        columns=(Column("Category"), Column("Covered")),
        rows=tuple((code(name), shown) for name, shown in islice(rows.items(), MAX_ROWS)),
        visible_rows=VISIBLE_ROWS if lacking else 0,
        left_out=max(0, len(rows) - MAX_ROWS),
    )


def _reasons(result: GateResult) -> Block:
    others = result.ranked[1:]
    return Block(
        kind=BlockKind.REASONS,
        title="What the other traces say",
        rows=tuple(
            (
                join(
                    [
                        join([code(run.trace), prose(run.verdict.reason, longest=MAX_REASON_LENGTH)], by=": "),
                        join([strong("Next:"), prose(run.hint)]) if run.hint and run.hint != result.worst.hint else "",
                    ]
                ),
            )
            for run in others
        ),
        visible_rows=0,
    )


def _meaning(result: GateResult, context: Context) -> str:
    """Return what a `fail` means in the gate's stage."""
    match result.gate.stage:
        case Stage.OBSERVE:
            return "the gate reports and never blocks, whatever the evaluation says"
        case Stage.SOFT if context.pull_request is None:
            return "a failed evaluation closes the gate, and without a pull request no review can open it"
        case Stage.SOFT:
            return "a failed evaluation closes the gate until an approving review of this commit opens it"
        case Stage.HARD:
            return "a failed evaluation closes the gate, and no review opens it"
        case _:
            assert_never(result.gate.stage)


def _provenance(result: GateResult, context: Context) -> Block:
    gate, worst = result.gate, result.worst
    undecided = "open" if gate.on_undecided is OnUndecided.ALLOW else "closed"
    if gate.on_undecided is OnUndecided.ALLOW and any(trace.content is not None for trace in gate.traces):
        undecided = "open if no uploaded trace can be the cause"
    without = "" if gate.stage is Stage.OBSERVE else prose(f"{undecided} (`on_undecided: {gate.on_undecided}`)")
    about = "worst trace" if _of(result) else "run" if worst.run_id else "trace"
    rows = (
        ("Campaign", code(gate.campaign)),
        ("Campaign's id", code(worst.campaign_id) if worst.campaign_id != gate.campaign else ""),
        ("Project", code(gate.project)),
        ("Mutation pack", code(gate.mutation_pack)),
        ("Trace", code(worst.trace)),
        ("Trace's id", code(worst.trace_id) if worst.trace_id != worst.trace else ""),
        ("Run", code(worst.run_id)),
        ("Batch", code(worst.batch_id)),
        ("Scenarios", _count(worst.run.trace_count)),
        ("Took", number_format.duration(worst.elapsed_s) if worst.elapsed_s else ""),
        ("Stage", prose(f"`{gate.stage}`: {_meaning(result, context)}")),
        ("Without a verdict", without),
    )
    return Block(
        kind=BlockKind.PROVENANCE,
        title=f"Campaign, {about} and stage {gate.stage}",
        columns=(Column("What"), Column("Which")),
        rows=tuple((label, value) for label, value in rows if value and value != "–"),
        visible_rows=0,
    )


def _notes(results: Sequence[GateResult], context: Context) -> tuple[Block, ...]:
    gates_by_note: dict[str, dict[str, None]] = {}  # the notes, each with the names of its gates
    for result in results:
        runs = (note for run in result.runs for note in (run.verdict.warning, *run.enrichment.notes))
        for note in filter(None, (*result.notes, *runs)):
            gates_by_note.setdefault(note, {})[result.gate.name] = None
    rows = (
        *((prose(note),) for note in dict.fromkeys(context.notes)),
        *((join([_whose(list(names), results), prose(note)], by=": "),) for note, names in gates_by_note.items()),
    )
    return (Block(kind=BlockKind.NOTES, title="Notes", rows=rows),) if rows else ()


def _whose(names: Sequence[str], results: Sequence[GateResult]) -> str:
    """Return the names of the gates that a note applies to; '' if it applies to all."""
    if len(names) == len(results):
        return "All gates" if len(results) > 1 else ""
    more = len(names) - MAX_NAMED
    named = [*map(code, names[:MAX_NAMED]), *([f"{more} more"] if more > 0 else [])]
    return join(named, by=", ")


def _pass_rate(run: CIRun, gate: Gate) -> str:
    """Return the run's pass rate, with enough digits to differ from the one that is needed."""
    rate = run.pass_rate.value
    return NOT_KNOWN if rate is None else number_format.percent(rate, distinct_from=gate.thresholds.min_pass_rate)


def _count(number: Metric) -> str:
    return "–" if number.value is None else number_format.count(number.value)
