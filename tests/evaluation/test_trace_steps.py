"""The steps of recorded traces, and how those of two traces differ."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sepurux_action.evaluation.recording import read_recording
from sepurux_action.evaluation.trace_steps import Events, Steps, compare_steps, failed_step, first_lines, steps_of


def a_call(tool: object, *arguments: str, **more: object) -> dict[str, object]:
    return {"type": "tool_call", "tool": tool, "args": dict.fromkeys(arguments, "a value"), **more}


def a_result(tool: str, **more: object) -> dict[str, object]:
    return {"type": "tool_result", "tool": tool, "result": {"text": "a result"}, **more}


def read(*events: object) -> Events:
    return read_recording(json.dumps({"events": events}), "a.json").events


def steps(*events: object) -> list[str]:
    return [*steps_of(read(*events))]


def numbered(*texts: str) -> Steps:
    return tuple(f"{number} {text}" for number, text in enumerate(texts, 1))


REFUND = (
    {"type": "prompt", "input": {"text": "Refund it."}},
    a_call("orders.lookup", "order"),
    a_result("orders.lookup"),
    a_call("payments.refund", "order", "amount_cents"),
    a_result("payments.refund", error={"message": "timed out"}),
    a_call("payments.refund", "order", "amount_cents"),
    {"type": "agent_output", "output": "Done."},
)


def test_steps_are_calls_with_the_names_of_their_arguments_and_errors_of_results() -> None:
    lookup, refund = "2 orders.lookup(order)", "payments.refund(order, amount_cents)"
    assert steps(*REFUND) == [lookup, f"4 {refund}", "5   error", f"6 {refund}"]


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (a_call("a" * 80), "a" * 80 + "()"),
        (a_call("a" * 81), "…()"),
        (a_call("`@octocat`\n::error::", "order"), "…(order)"),
        (a_call("mail.send", "to", "a b", "```", "ä", ""), "mail.send(to, …)"),
        (a_call(7), "…()"),
        (a_call(None, name="mail"), "mail()"),
        ({"type": "tool_call", "tool": "mail", "args": ["to"]}, "mail()"),
        (a_call("mail", args={"to": {"type": "tool_call"}, "events": [1]}), "mail(to, events)"),
        (a_call("mail", *"kjihgfedcba"), "mail(a, b, c, d, e, f, g, h, i, j, …)"),
        (a_call("m", "b" * 50, "a" * 50), f"m({'b' * 50}, {'a' * 50})"),
        (a_call("m", "b" * 50, "a" * 51), f"m({'a' * 51}, …)"),
        (a_call("m" * 80, "b" * 80), "m" * 80 + "(…)"),
        (a_result("mail", status="error"), "  error"),
        (a_result("mail", status="failed"), "  error"),
        (a_result("mail", error="text"), "  error"),
    ],
)
def test_a_name_with_other_characters_or_of_more_than_80_is_not_shown_and_a_long_line_is_cut(
    event: object, text: str
) -> None:
    assert steps(a_call("mail"), event) == ["1 mail()", f"2 {text}"]


@pytest.mark.parametrize(
    "event",
    [
        *(a_result("mail"), a_result("mail", error=None), a_result("mail", error={})),
        *(a_result("mail", status=["error"]), {"type": ["tool_call"], "tool": "mail"}),
        *({"tool": "mail", "args": {"to": 1}}, ["tool_call"], None),
    ],
    ids=range(8),
)
def test_other_events_are_no_steps(event: object) -> None:
    assert steps(a_call("mail"), event, a_call("last")) == ["1 mail()", "3 last()"]


def test_a_trace_has_at_most_fifty_steps() -> None:
    assert steps(*(a_call("mail") for _ in range(60)))[-1] == "50 mail()"


def test_no_value_of_a_trace_is_kept() -> None:
    written = json.dumps(read(*REFUND))
    assert "a value" not in written
    assert "timed out" not in written


EVENTS = read(*REFUND, a_call("a b"), a_result("payments.refund"))


@pytest.mark.parametrize(
    ("tool", "index", "number"),
    [
        ("payments.refund", 4, 5),
        ("payments.refund", None, 4),
        ("payments.refund", 1, 4),  # the event of another tool
        ("payments.refund", 0, 4),  # the prompt
        ("payments.refund", 99, 4),
        ("payments.refund", 8, 6),  # a result without an error: its call
        ("", 2, 2),
        ("", 0, None),
        ("", None, None),
        ("mail", 1, None),
        ("a b", 7, 8),
        ("a b", None, None),  # its name stands for others too
        ("…", None, None),
    ],
)
def test_the_failed_step_is_the_event_if_it_is_one_of_the_tool_else_the_first_call(
    tool: str, index: int | None, number: int | None
) -> None:
    assert failed_step(EVENTS, tool, index).partition(" ")[0] == str(number or "")


def test_the_difference_shows_the_numbers_of_this_trace_and_those_of_the_base_for_what_it_lacks() -> None:
    base, here = ("4 refund(cents, order)", "5 status(order)"), ("3 refund(order, cents)", "7 refund()")
    assert compare_steps(base, here) == ("  3 refund(order, cents)", "- 5 status(order)", "+ 7 refund()")


lists = st.lists(st.sampled_from(["a()", "b(x, y)", "b(y, x)", "error"]), max_size=7).map(lambda each: numbered(*each))


@given(base=lists, here=lists)
def test_a_difference_contains_both_lists_and_the_longest_common_subsequence(base: Steps, here: Steps) -> None:
    def calls(steps: Iterable[str]) -> list[str]:
        return [step.partition(" ")[2].replace("(y, x)", "(x, y)") for step in steps]

    found = compare_steps(base, here)
    removed, added, common = ([each[2:] for each in found if each.startswith(sign)] for sign in "-+ ")
    assert [each[2:] for each in found if not each.startswith("-")] == [*here]
    assert calls(each for each in base if each not in removed) == calls(common)
    subsequences = [
        {parts for size in range(len(each) + 1) for parts in combinations(calls(each), size)} for each in (base, here)
    ]
    assert len(common) == len(here) - len(added) == max(map(len, subsequences[0] & subsequences[1]))


@pytest.mark.parametrize(
    ("at", "shown"), [(4, [*range(11), None]), (6, [None, *range(3, 13), None]), (19, [None, *range(9, 20)])]
)
def test_at_most_twelve_lines_are_shown_around_the_first_difference(at: int, shown: list[int | None]) -> None:
    lines = [f"  {number} a()" for number in range(20)]
    assert first_lines(lines, at) == tuple("  …" if each is None else lines[each] for each in shown)
    assert first_lines(lines[:12], 11) == tuple(lines[:12])
