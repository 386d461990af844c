"""What failed, as the items of a list, and the links of a report to runs, scenarios, commits, and pages."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sepurux_action.common.wording import capitalized, joined
from sepurux_action.config.command_line import in_workflow, on_command_line
from sepurux_action.evaluation.gate_numbers import DROP, Scenario
from sepurux_action.evaluation.metrics import LOWEST_SCENARIO, PASS_RATE
from sepurux_action.evaluation.runs import Failure, Step, severity_rank, worst_of
from sepurux_action.report import markdown
from sepurux_action.report.markdown import Markdown, code, escaped, link, plain, say
from sepurux_action.report.report import Context, GateFacts

MAX_FIRST_ITEM, MAX_ITEM, MAX_LONG_ITEM = 140, 90, 400  # characters; the last one where a list has all items
MIN_DESCRIPTION = 40  # characters of a description that are shown at least
MAX_GATE, MAX_SCENARIO, MAX_STEP = 40, 30, 40  # characters of a gate's and a scenario's name, and of a tool
MAX_REASON = 300  # characters of a reason, or of what to do about it
LEAST, FEW, MOST = 2, 3, 5  # items
PHONE_LINE = 38  # characters of a line on a phone
NAMED_SEVERITIES = ("critical", "high")
SETTINGS_PAGES = {  # of a repository, as sentences name them
    "Settings > Secrets and variables > Actions": "/settings/secrets/actions",
    "Settings > Secrets and variables > Dependabot": "/settings/secrets/dependabot",
}
RERUNS = {"rerun": "re-run the job", "Rerun": "Re-run the job"}
NOTHING = Markdown("")
CLAUSES = {
    "none": "step\u00a0{number}: {tool}",
    "instead": "step\u00a0{number}: {tool} (on {base}: {other})",
    "added": "step\u00a0{number}: {tool} (not on {base})",
    "missing": "{tool} is missing after step {number}",
    "without": "step\u00a0{number}: {tool} without {other}",
    "with": "step\u00a0{number}: {tool} with {other}",
}

Thing = tuple[GateFacts, Failure | Scenario]  # a failure, or a scenario that is too low or got worse, of a gate


@dataclass(frozen=True, slots=True)
class Item:
    """A thing to change: what is wrong, and where. `severity` is '' unless it is critical or high.

    `file` is that of the recording which is shown, if not all recordings of the scenario have the failure.
    """

    what: Markdown
    where: Markdown = NOTHING
    severity: str = ""
    file: Markdown = NOTHING

    @property
    def text(self) -> Markdown:
        return Markdown(joined(" ", self.severity and f"**{self.severity}**", self.what, self.where, self.file))


def things_of(gates: Sequence[GateFacts]) -> Sequence[Thing]:
    """Return what failed in gates: new and severe failures first, then scenarios that are too low.

    Of a gate that misses nothing but the allowed drop, they are the scenarios that got worse.
    """
    failures, scenarios = list[tuple[GateFacts, Failure]](), list[Thing]()
    for gate in gates:
        if gate.by_settings or not gate.failed:
            continue
        if gate.missed == {DROP} and gate.worse:
            scenarios += [(gate, each) for each in gate.worse]
            continue
        failures += [(gate, each) for each in gate.counted]
        scenarios += [(gate, each) for each in gate.low]
    failures.sort(key=lambda each: (not each[1].is_new, severity_rank(each[1].severity)))
    low_alone = all(gate.missed == {LOWEST_SCENARIO.threshold} for gate in gates)
    return [*scenarios, *failures] if low_alone else [*failures, *scenarios]


def items_of(things: Sequence[Thing], *, is_full: bool, several: bool) -> list[Item]:
    """Return things as items, with the gate if there are `several`; long ones if the list `is_full`."""
    items = list[Item]()
    for gate, of in things:
        longest = MAX_ITEM if items else MAX_FIRST_ITEM
        item = item_of(gate, of, MAX_LONG_ITEM if is_full else longest, several=several)
        if any(item.file == each.file for each in items):  # is said once
            item = replace(item, file=NOTHING)
        items.append(item)
    return items


def phone_lines(*texts: str) -> int:
    """Return about how many lines of a phone texts take; code is wider than text, and breaks less often."""
    sizes = (len(plain(text)) + sum(map(len, markdown.codes(text))) / 4 for text in texts)
    return sum(math.ceil(size / PHONE_LINE) for size in sizes)


def item_of(gate: GateFacts, of: Failure | Scenario, longest: int, *, several: bool = False) -> Item:
    """Return an item of at most `longest` characters, of which a description is cut; with the gate, if `several`."""
    of_gate = link(name_of(gate), gate.dashboard) if several else NOTHING
    if isinstance(of, Failure):
        return _of_failure(gate, of, longest, of_gate)
    name = scenario_link(of)
    if of.low:
        rate, needed = of.rate or 0, of.needed
        passed, least = LOWEST_SCENARIO.write(rate, needed), LOWEST_SCENARIO.write(needed, rate)
        return Item(say("{name} passed {passed}, {least} needed.", name=name, passed=passed, least=least), of_gate)
    passed, on_base = (gate.write(PASS_RATE, each) for each in (of.rate, of.base_rate))
    words = "{name}: {passed} passed, {on_base} on {base}."
    what = say(words, name=name, passed=passed, on_base=on_base, base=base_of(gate.context))
    said = escaped(of.failures[0].description, longest=max(MIN_DESCRIPTION, longest)) if of.failures else ""
    return Item(Markdown(joined(" ", what, said)), of_gate)


def _of_failure(gate: GateFacts, failure: Failure, longest: int, of_gate: Markdown) -> Item:
    scenario, place = gate.scenarios.get(failure.scenario), NOTHING
    if failure.scenario and len(gate.result.known_scenarios) != 1:
        place = scenario_link(scenario) if scenario else code(failure.scenario, longest=MAX_SCENARIO)
    clause = step_clause(failure.step, gate.context) if failure.step else code(failure.tool, longest=MAX_STEP)
    if not (of_gate or place):
        clause = Markdown(capitalized(clause))
    where = Markdown(joined(", ", of_gate, place, clause))
    times = f" (seen {failure.count} times)" if failure.count > 1 else ""
    if failure.count == 2:  # noqa: PLR2004
        times = " (seen twice)"
    on_base, severity = failure.on_base, failure.severity.lower()
    if on_base and on_base.having and failure.is_new:
        times = f" (more often: {on_base.here:.2g} here, {on_base.most:.2g} on {base_of(gate.context)})"
    severity = severity if severity in NAMED_SEVERITIES else ""
    room = longest - len(f"{severity} {plain(times)} {plain(where)}")
    said = failure.description or failure.type or "No description"
    if not said.endswith((".", "!", "?", "…")):
        said += "."
    what = escaped(said, longest=max(MIN_DESCRIPTION, room))
    path = gate.shown_in(failure)
    return Item(Markdown(f"{what}{times}"), where, severity, say("({path})", path=code(path)) if path else NOTHING)


def step_clause(step: Step, context: Context) -> Markdown:
    """Return the step that failed, or how it differs from the base."""
    clause = CLAUSES[step.difference]
    if step.difference == "missing" and not step.number:
        clause = "{tool} is missing before step 1"
    tool, other = (code(name, longest=MAX_STEP) for name in (step.tool, step.other))
    return say(clause, number=step.number, tool=tool, other=other, base=base_of(context))


def base_of(context: Context) -> Markdown:
    return code(context.base_ref) or Markdown("the base" if context.on_command_line else "this branch")


def run_link(gate: GateFacts) -> Markdown:
    return link("Sepurux run", gate.dashboard)


def name_of(gate: GateFacts) -> Markdown:
    return code(gate.name, longest=MAX_GATE) or Markdown("no name")


def scenario_link(scenario: Scenario) -> Markdown:
    """Return a scenario's name with a link to its run at Sepurux, of several recordings that of the worst one."""
    page = worst_of(scenario.recordings).dashboard_url if scenario.recordings else ""
    return link(code(scenario.name, longest=MAX_SCENARIO) or "no name", page)


def prose(gate: GateFacts, text: str) -> Markdown:
    """Return a text of this program with links to the pages that it names."""
    context = gate.context
    if context.on_command_line:
        return markdown.prose(on_command_line(text), longest=MAX_REASON)
    urls = {title: context.page(path) for title, path in SETTINGS_PAGES.items()}
    urls |= dict.fromkeys(RERUNS.values(), context.run_url)
    pages = {title: link(title, url) for title, url in urls.items() if url}
    if gate.dashboard:
        pages["Sepurux run"] = run_link(gate)
    for name, words in RERUNS.items() if context.run_url else ():
        text = text.replace(f"{{{name}}}", f"`{words}`")
    return markdown.prose(in_workflow(text), longest=MAX_REASON, pages=pages)
