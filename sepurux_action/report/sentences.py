"""The title of a report, and the headings of its parts. Comment, summary, annotation, and log use these sentences."""

import re

from sepurux_action.common import number_format
from sepurux_action.common.wording import joined
from sepurux_action.evaluation import metrics
from sepurux_action.evaluation.runs import Decision, Rule
from sepurux_action.report.markdown import Markdown
from sepurux_action.report.report import GateFacts, Report
from sepurux_action.report.state import State
from sepurux_action.report.thresholds import ThresholdFacts
from sepurux_action.report.view import Origin, Section
from sepurux_action.report.words import Words

# Up to the first bracket or colon that is not part of a quoted name.
_CLAUSE = re.compile(r"""(?P<first>(?:`[^`]*`|"(?:[^"\\]|\\.)*"|.)*?)(?: \(|: |$).*""", re.DOTALL)
MAX_HEADLINE_LENGTH = 150  # characters; the alert shows a longer one
MOST_NAMED = 3  # gates that a title or a paragraph names


def ending(say: Words, gate: GateFacts) -> Markdown:
    if gate.result.decision is Decision.PENDING:
        waited_s = min(gate.result.worst.elapsed_s or gate.result.gate.timeout_s, gate.result.gate.timeout_s)
        return say(": no decision after {waited}", waited=number_format.duration(waited_s))
    if gate.state is State.CANCELED:
        after = gate.result.worst.elapsed_s and not say.as_markdown
        waited = say.when(after, " after {waited}", waited=number_format.duration(gate.result.worst.elapsed_s))
        return say(": {word}{waited}", word=gate.state.word, waited=waited)
    if gate.result.decision is Decision.ERROR:
        if what := headline(gate):
            return say(" was not evaluated: {what}", what=say.prose(what))
        return say(": no result")
    word, numbers, unsafe = gate.state.word, gate.pass_rate, gate.result.value(metrics.UNSAFE_ATTEMPTS)
    if gate.failed:
        word, numbers = State.FAILED.word, missed(say, gate)
    elif unsafe is not None:
        attempts = metrics.UNSAFE_ATTEMPTS.named(unsafe) if unsafe else "nothing unsafe"
        numbers = joined(", ", numbers, attempts)
    return say(" {word}{numbers}", word=word, numbers=say.when(numbers, ": {numbers}", numbers=numbers))


def headline(gate: GateFacts) -> str:
    """Return why a gate was not evaluated, without what stands in brackets or after a colon; '' if it was.

    It is '' too if it is too long for a title.
    """
    if gate.result.rule not in {Rule.NOT_POLLED, Rule.OUTAGE}:
        return ""
    first = _CLAUSE.sub(r"\g<first>", gate.result.detail, count=1).removesuffix(".")
    return first if len(first) <= MAX_HEADLINE_LENGTH else ""


def missed(say: Words, gate: GateFacts) -> Markdown:
    """Return what a gate misses, for a title: the first two thresholds, and how many others."""
    phrases = [_phrase(say, gate, row) for row in gate.thresholds.missed_rows]
    if not phrases:
        return say.value(metrics.summary(gate.result.numbers) if gate.result.recorded else "")
    if len(phrases) > MOST_NAMED:
        phrases[2:] = [say("{more} more thresholds", more=len(phrases) - 2)]
    *first, last = phrases
    before = ", ".join(first)
    if "," in before:
        before += ","
    return Markdown(joined(" and ", before, last))


def _phrase(say: Words, gate: GateFacts, row: ThresholdFacts) -> Markdown:
    """Return what misses a threshold: `72.0% passed, 85.0% needed`."""
    metric, value = row.metric, row.check.value
    if metric is None:
        return say("{names} not covered", names=say.listed(row.check.lacking, "and"))
    if row.drop:
        reached = metric.reached_by(gate.result.value(metric) or 0, row.check.limit)
        below = "{reached}, {points} points below {base}"
        return say(below, reached=reached, points=row.drop.actual)
    if metric is metrics.LOWEST_SCENARIO and gate.found.below:
        lowest, *others = gate.found.below
        needed, name = metric.write(row.check.limit, value), say.code(lowest.name) or say("no name")
        more = number_format.pluralize(len(others), "other scenario")
        if others:
            return say("{name} and {more} passed less than {needed}", name=name, more=more, needed=needed)
        return say("{name} passed {rate}, {needed} needed", name=name, rate=row.check.actual, needed=needed)
    limit = row.check.limit
    reached, needed = metric.reached_by(value or 0, limit), metric.write(limit, value or 0)
    if not metric.less_is_better:
        reached += f", {needed} needed"
    elif limit:
        reached += f", {needed} allowed"
    return say.value(reached)


def title(say: Words) -> Markdown:
    report, gates = say.report, say.report.gates
    every, blocking, waiting = len(gates), report.blocking, report.in_state(State.NEEDS_APPROVAL)
    if report.problems:
        return say("{problems} in the settings", problems=number_format.pluralize(len(report.problems), "problem"))
    if every == 1:
        return say("{name}{ending}", name=say.code(gates[0].name), ending=ending(say, gates[0]))
    counts = [(len(blocking), "blocks", "block"), (len(waiting), "needs an approval", "need an approval")]
    if not report.acting:
        failed, passed, skipped = report.failed, report.in_state(State.PASSED), report.in_state(State.SKIPPED)
        unfinished = len(report.not_passed) - len(failed)
        counts = [
            (len(failed), "failed and does not block", "failed and do not block"),
            (unfinished, "has no result and does not block", "have no result and do not block"),
        ]
        if not report.not_passed:
            counts = [(len(passed), "passed", "passed"), (len(skipped), "skipped", "skipped")]
    (first, *words), *others = [each for each in counts if each[0]]
    what = say("{first} of {every} gates {verb}", first=first, every=every, verb=words[first > 1])
    for count, *words in others:
        what = say("{what}, {count} {verb}", what=what, count=count, verb=words[count > 1])
    if report.acting:
        what = say("{what}: {names}", what=what, names=say.gates([*blocking, *waiting], MOST_NAMED))
    canceled = say.when(report.short and report.not_passed, "Canceled: ")
    return say("{canceled}{what}", canceled=canceled, what=what)


def alert(report: Report) -> str:
    """Return the kind of the alert, as GitHub names it."""
    if any(gate.failed for gate in report.blocking):
        return "CAUTION"
    if report.problems or report.blocking:
        return "WARNING"
    if report.acting:
        return "IMPORTANT"
    return "NOTE"


def symbol(say: Words) -> Markdown:
    report = say.report
    if report.problems:
        return Markdown("❗")
    return Markdown((report.blocking or report.acting or report.failed or report.gates)[0].state.symbol)


def heading(say: Words, gate: GateFacts, section: Section) -> Markdown:
    scenarios = say.when(section.origin is Origin.ALL, gate.found.in_scenarios)
    return say.paragraph(say(section.origin.value[bool(say.context.base_ref)]), scenarios)
