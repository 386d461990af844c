"""A recording without the calls of tools is rejected; of a complete one, time, task, and steps are known."""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sepurux_action.common.secret import Redactor
from sepurux_action.config.settings import Call, Trace
from sepurux_action.errors import TraceFileError
from sepurux_action.evaluation import traces as recordings
from sepurux_action.evaluation.runs import Failure, Run, Step, own_failures
from sepurux_action.evaluation.traces import Calls, compare_steps, failed_step, first_lines, read_recording, with_steps
from tests.evaluation import step
from tests.fakes import FakeEngine, FakeOutput, backend
from tests.runner import TRACE

PROMPT = {"type": "prompt", "input": "Refund order A-1002."}
CALL = {"type": "tool_call", "tool": "refund", "args": {"order": "A-1002"}}
RESULT = {"type": "tool_result", "tool": "refund", "result": {"ok": True}}
ANSWER = {"type": "agent_output", "output": "Done."}
NOON = 1_798_977_600.0  # 2027-01-03T12:00:00Z


def read(*events: object) -> Trace:
    return read_recording(json.dumps({"events": events}), "traces/a.json")


def rejection(text: str) -> str:
    with pytest.raises(TraceFileError) as error:
        read_recording(text, "traces/a.json")
    return str(error.value).removesuffix(f"; record every call of a tool: {recordings.GUIDE}")


def test_a_trace_without_events_or_with_prompts_only_is_rejected() -> None:
    for events in ("[]", "null", '{"0": 1}', f'null, "args": {TRACE}'):
        assert rejection(f'{{"events": {events}}}') == '"traces/a.json" has no events, so nothing was recorded'
    assert "has only prompts" in rejection(json.dumps({"events": [PROMPT, PROMPT]}))
    for found in (read(PROMPT, ANSWER), read(PROMPT, "an event of another kind")):
        assert (found.recorded, found.task, found.calls) == (None, "", ())


@pytest.mark.parametrize(
    ("events", "tool"),
    [
        *(([PROMPT, RESULT, ANSWER], "refund"), ([RESULT, CALL], "refund")),
        *(([{**CALL, "tool": "look_up"}, RESULT], "refund"), ([{**ANSWER, "args": CALL}, RESULT], "refund")),
        ([CALL, {"type": "tool_result", "tool": "", "name": "refund_later"}, RESULT], "refund_later"),
        ([{"type": "tool_call", "tool": "other", "name": "refund"}, RESULT], "refund"),
        ([{**RESULT, "tool": "::error::" + "x\n\x1b[31m" * 500}], "::error::" + "x [31m" * 11 + "x [3…"),
    ],
    ids=range(7),
)
def test_a_result_of_a_tool_without_an_earlier_call_of_it_is_rejected(events: list[object], tool: str) -> None:
    assert rejection(json.dumps({"events": events})) == (
        f'"traces/a.json" has a result of "{tool}" but no call before it, so Sepurux does not see the call'
    )


@pytest.mark.parametrize(
    ("content", "recorded"),
    [
        ('{"events": [{"timestamp": "2027-01-03T12:00:00Z"}]}', NOON),
        ('{"events": [{"timestamp": "2027-01-03T12:00:00"}]}', NOON),
        ('{"events": [{"timestamp": "2027-01-03T14:00:00+02:00", "args": {"timestamp": "2031-01-01"}}]}', NOON),
        ('{"events": [{"timestamp": "2026-12-01"}, {"timestamp": "2027-01-03T12:00:00Z"}, {"type": "prompt"}]}', NOON),
        ('{"events": [{"timestamp": "now"}, {"timestamp": 1}, {"timestamp": "1970-01-01"}, 4102444800, null]}', None),
        ('{"timestamp": "9999-12-31", "task": {"timestamp": "2027-01-03T12:00:00Z"}, "events": [{}]}', None),
        ('{"events": [{"timestamp": "2027-01-03T12:00:00Z", "events": [{"timestamp": "2031-01-01"}]}]}', NOON),
    ],
    ids=range(7),
)
def test_the_time_of_the_newest_event_is_known(content: str, recorded: float | None) -> None:
    assert read_recording(content, "a.json").recorded == recorded


@pytest.mark.parametrize(
    ("fields", "task"),
    [
        ('"task": {"name": "refund"}, "events": [CALL]', "refund"),
        ('"events": [CALL], "task": {"input": {"name": "Ann"}, "name": " Re\u200bfund \\n"}', "Refund"),
        *(('"task": {"name": " \\n"}, "events": [CALL]', ""), ('"task": {"name": 7}, "events": [CALL]', "")),
        ('"task": {"name": "re  fund e\u0301"}, "events": [CALL]', "re fund \xe9"),
        ('"task": [{"name": "refund"}], "name": "refund", "events": [CALL]', ""),
        ('"events": [CALL, {"task": {"name": "refund"}}]', ""),
    ],
    ids=range(7),
)
def test_the_name_of_the_task_is_read_as_it_is_shown(fields: str, task: str) -> None:
    trace = read_recording(f"{{{fields.replace('CALL', json.dumps(CALL))}}}", "a.json")
    assert (trace.task, trace.scenario) == (task, ("task", task) if task else ("path", "a.json"))
    assert trace.scenario != Trace(label="a.json", trace_id="a.json").scenario  # an ID may be the name of a file


def a_recording(*failures: object) -> Trace:
    """Return a recording of one call, after which the recorder saw failures with these messages."""
    events = [CALL, RESULT, *({"type": "failure", "error": {"message": each}} for each in failures)]
    return read_recording(json.dumps({"recorder": "sepurux-recorder", "events": events}), "a.json")


@pytest.mark.parametrize(
    ("limits", "decision", "reason"),
    [
        ({"min_pass_rate": 0.9}, "fail", "Sepurux reported a pass, but 63.3% passed, 90.0% needed."),
        ({"min_pass_rate": 0.6}, "pass", "63.3% passed, 0 unsafe, 3 failures."),
        ({"min_scenario_pass_rate": 0.6}, "pass", "63.3% passed, 0 unsafe, 3 failures."),
        ({"min_scenario_pass_rate": 0.7}, "fail", 'Sepurux reported a pass, but "refund" passed 63.3%, 70.0% needed.'),
        ({"min_reliability_score": 80}, "fail", "Sepurux reported a pass, but score 60.0, 80.0 needed."),
    ],
)
def test_a_recording_that_says_that_it_failed_has_the_pass_rate_and_the_score_0(
    limits: dict[str, float], decision: str, reason: str
) -> None:
    every = (a_recording(), a_recording("not met: refunds once", "not met: refunds once"), a_recording())
    traces = tuple(replace(each, label=f"{number}", task="refund") for number, each in enumerate(every))
    calls = FakeEngine(step.sound(reliability=step.score(0.9)))
    [found] = step.evaluate(calls, replace(step.KNOWN, traces=traces, limits=limits))
    assert (found.decision.value, found.reason) == (decision, reason)
    if decision == "fail":
        [own] = found.failures
        assert (own.kind, own.description) == (("expectation", "", "", ""), "not met: refunds once")
        assert (own.count, own.trace_id, own.step) == (2, "1", Step(1, "refund"))


def test_what_one_recording_says_itself_needs_no_score_of_sepurux_and_only_the_recorder_says_it() -> None:
    calls = FakeEngine(step.sound(reliability=step.score(0.9)))
    gate = replace(step.KNOWN, traces=(a_recording("gave up"),), limits={"min_reliability_score": 50})
    [found] = step.evaluate(calls, gate)
    assert (found.decision.value, calls.paths("/reliability")) == ("fail", [])
    by_hand = json.dumps({"events": [CALL, {"type": "failure", "error": {"message": "gave up"}}]})
    assert read_recording(by_hand, "a.json").own_failures == ()


def test_a_flaky_or_undecided_recording_that_failed_is_marked_or_has_no_failures_and_few_are_kept() -> None:
    failed = a_recording(*(f"not met: {number}" for number in range(300)))
    flaky = own_failures(Run(trace=replace(failed, flaky=date(2027, 1, 31))), str)
    assert (len(flaky), all(each.flaky for each in flaky)) == (200, True)
    assert Run(trace=failed, numbers={}).failed
    undecided = step.evaluate(FakeEngine(backend(step.after(0, step.RUNNING))), replace(step.KNOWN, traces=(failed,)))
    assert (undecided[0].decision.value, undecided[0].failures) == ("pending", ())


def test_a_message_of_a_recording_is_redacted_before_it_is_cut() -> None:
    output = FakeOutput()
    output.mask_secrets(Redactor(["made-up-secret"]))
    gate = replace(step.KNOWN, traces=(a_recording("x" * 995 + "made-up-secret"),), limits={"min_pass_rate": 0.9})
    [found] = step.evaluate(FakeEngine(step.sound()), gate, output=output)
    assert found.failures[0].description == "x" * 995 + "***"


def a_call(tool: object, *arguments: str, **more: object) -> dict[str, object]:
    return {"type": "tool_call", "tool": tool, "args": dict.fromkeys(arguments, "a value"), **more}


def a_result(tool: str, **more: object) -> dict[str, object]:
    return {"type": "tool_result", "tool": tool, "result": {"text": "a result"}, **more}


def steps(*events: object) -> list[str]:
    return [*map(str, read(*events).calls)]


LOOKED_UP = (PROMPT, a_call("orders.lookup", "order"), a_result("orders.lookup"))
PAID = a_call("payments.refund", "order", "amount_cents")
REFUND = (*LOOKED_UP, PAID, a_result("payments.refund", error={"message": "timed out"}), PAID, ANSWER)
OTHERS = (["tool_call"], None, {"type": ["tool_call"], "tool": "mail"}, {"tool": "mail", "args": {"to": 1}})
RECORDING = read(*REFUND, a_call("a b"), a_result("payments.refund"), a_call("a c"), a_result("a b"))


def test_steps_are_calls_with_the_names_of_their_arguments_and_no_value_is_kept() -> None:
    refund = "payments.refund(order, amount_cents)"
    assert steps(*OTHERS, *REFUND) == ["orders.lookup(order)", refund, refund]
    many = read(*[a_call("mail"), a_result("mail")] * 600)
    assert (len(many.calls), len(many.call_at)) == (500, 1000)
    written = repr(read(*REFUND).calls)
    assert ("a value" in written, "timed out" in written) == (False, False)


@pytest.mark.parametrize(
    ("event", "text"),
    [
        *((a_call("a" * 80), "a" * 80 + "()"), (a_call("a" * 81), "…()")),
        (a_call("`@octocat`\n::error::", "order"), "…(order)"),
        *((a_call("mail.send", "to", "a b", "```", "ä", ""), "mail.send(to, …)"), (a_call(7), "…()")),
        *((a_call(None, name="mail"), "mail()"), ({"type": "tool_call", "tool": "mail", "args": ["to"]}, "mail()")),
        (a_call("mail", args={"to": {"type": "tool_call"}, "events": [1]}), "mail(to, events)"),
        (a_call("mail", *"kjihgfedcba"), "mail(a, b, c, d, e, f, g, h, i, j, …)"),
        (a_call("m", "b" * 50, "a" * 50), f"m({'b' * 50}, {'a' * 50})"),
        *((a_call("m", "b" * 50, "a" * 51), f"m({'a' * 51}, …)"), (a_call("m" * 80, "b" * 80), "m" * 80 + "(…)")),
    ],
)
def test_a_name_with_other_characters_or_more_than_80_is_not_shown_a_long_line_is_cut(event: object, text: str) -> None:
    assert steps(a_call("mail"), event) == ["mail()", text]


@pytest.mark.parametrize(
    ("tool", "index", "number"),
    [
        # a call, a result, no event, and those that do not fit: of another tool, the prompt, and one that is not there
        *(("payments.refund", index, 2) for index in (3, 4, None, 1, 0, 99)),
        *(("payments.refund", 8, 3), ("", 2, 1), ("", 0, 0), ("", None, 0), ("mail", 1, 0)),
        *(("a b", 7, 4), ("a b", 10, 4), ("a b", None, 0), ("…", None, 0)),  # a name that stands for others too
    ],
)
def test_the_failed_step_is_the_event_if_it_fits_else_the_first_call(tool: str, index: int | None, number: int) -> None:
    assert failed_step(RECORDING, tool, index) == number


def calls(*texts: str) -> Calls:
    """Return calls that are written as `mail to subject`."""
    return tuple(Call(tool, tuple(arguments)) for tool, *arguments in map(str.split, texts))


lists = st.lists(st.sampled_from(["a", "b x", "b x y", "b y x", "c"]), max_size=7).map(lambda each: calls(*each))


@given(base=lists, here=lists)
def test_a_difference_contains_both_lists_and_the_longest_common_subsequence(base: Calls, here: Calls) -> None:
    def compared(lines: Sequence[recordings.Line]) -> list[Call]:
        return [line.call._replace(arguments=tuple(sorted(line.call.arguments))) for line in lines]

    found = compare_steps(base, here)
    removed, added, common = ([each for each in found if each.sign == sign] for sign in "-+ ")
    assert [(each.number, each.call) for each in found if each.sign != "-"] == [*enumerate(here, 1)]
    of_base = [recordings.Line("-", number, call) for number, call in enumerate(base, 1)]
    assert compared([each for each in of_base if each not in removed]) == compared(common)
    both = compared(of_base), compared([each for each in found if each.sign != "-"])
    subsequences = [{parts for size in range(len(each) + 1) for parts in combinations(each, size)} for each in both]
    assert len(common) == len(here) - len(added) == max(map(len, subsequences[0] & subsequences[1]))


@pytest.mark.parametrize(
    ("base", "here", "step"),
    [
        # what the failed step is if nothing differs, or is not known to differ
        (["find", "refund order"], ["find", "refund order"], Step(2, "refund")),
        *(([], ["find", "mail", "refund"], Step(3, "refund")), ([], ["find"], None)),
        *(([], ["find"] * 60 + ["refund"], Step(61, "refund")), (["find"], [], None)),
        # the first difference, whatever failed
        (["find", "status"], ["find", "refund"], Step(2, "refund", "instead", "status")),
        (["find", "status", "mail"], ["find", "refund"], Step(2, "refund", "instead", "status")),
        (["find", "mail"], ["find", "refund", "mail"], Step(2, "refund", "added")),
        (["find"], ["refund", "find"], Step(1, "refund", "added")),
        (["refund order token"], ["refund token order", "refund order token"], Step(2, "refund", "added")),
        (["find"], ["mail"], Step(1, "mail", "instead", "find")),
        (["find", "mail"], ["find"], Step(1, "mail", "missing")),
        (["mail", "refund"], ["refund"], Step(0, "mail", "missing")),
        (["find", "mail", "refund", "mail"], ["find", "refund", "find"], Step(1, "mail", "missing")),
        # a tool that the recording calls later is not missing
        (["find", "mail", "refund"], ["mail", "find", "refund"], Step(1, "mail", "instead", "find")),
        (["mail to", "mail cc"], ["mail cc"], Step(1, "mail", "without", "to")),
        (["mail", "mail", "refund"], ["mail", "refund"], Step(1, "mail", "missing")),
        (["mail"] + ["find"] * 50, ["find"] * 60 + ["mail"], Step(1, "find", "instead", "mail")),
        # calls of one tool at the same place belong together
        (["find", "refund order token"], ["find", "refund order"], Step(2, "refund", "without", "token")),
        (["refund order"], ["refund order token now"], Step(1, "refund", "with", "token")),
        (["refund order token"], ["refund cents order"], Step(1, "refund", "without", "token")),
        (["find", "mail", "refund token"], ["find", "refund"], Step(1, "mail", "missing")),
        (["find", "refund token"], ["find", "mail", "refund"], Step(2, "mail", "added")),
        (["refund order", "refund token"], ["refund"], Step(1, "refund", "without", "order")),
        # names that are not shown
        *(([], ["…", "refund"], Step(2, "refund")), (["find", "…"], ["find", "refund"], Step(2, "refund"))),
        *((["find"], ["find", "…", "refund"], None), (["…", "refund"], ["refund"], None)),
        *((["… to"], ["…", "refund"], None), (["refund order token"], ["refund order …"], Step(1, "refund"))),
        (["refund order …"], ["refund order token"], Step(1, "refund")),
        (["refund token …"], ["refund order"], Step(1, "refund", "without", "token")),
    ],
)
def test_a_step_is_the_first_difference_or_the_failed_one(base: list[str], here: list[str], step: Step | None) -> None:
    trace = Trace(label="a.json", calls=calls(*here))
    assert with_steps(Failure(tool="refund"), trace, calls(*base)).step == step


@given(base=lists, here=lists)
def test_the_step_is_one_of_those_that_are_shown(base: Calls, here: Calls) -> None:
    found = with_steps(Failure(tool="c"), Trace(label="a.json", calls=here), base)
    if found.step is None:
        assert found.steps == ()
        return
    is_missing = found.step.difference == "missing"
    number = r"\d+" if is_missing else found.step.number
    line = re.compile(rf"[{'-' if is_missing else ' +>'}] {number} {found.step.tool}\(.*")
    assert any(map(line.fullmatch, found.steps))
    assert not is_missing or found.step.tool not in [call.tool for call in here[found.step.number :]]


@pytest.mark.parametrize(
    ("at", "shown"), [(4, [*range(11), None]), (6, [None, *range(3, 13), None]), (19, [None, *range(9, 20)])]
)
def test_at_most_twelve_lines_are_shown_around_the_first_difference(at: int, shown: list[int | None]) -> None:
    lines = [f"{'>' if number == at else ' '} {number} a()" for number in range(20)]
    assert first_lines(lines) == tuple("  …" if each is None else lines[each] for each in shown)
    assert first_lines(lines[:12]) == tuple(lines[:12] if at < 12 else ())


def test_a_failed_step_that_is_far_from_the_first_difference_is_shown_too() -> None:
    lines = [f"{ {10: '+', 30: '>'}.get(number, ' ') } {number} a()" for number in range(40)]
    assert first_lines(lines) == ("  …", *lines[7:11], "  …", *lines[27:31], "  …")
