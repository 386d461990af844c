"""`report.json` and its brief fit their published schemas in every state, and the brief is small and harmless."""

import json
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from sepurux_action.config.gate import Trace
from sepurux_action.config.stage import Stage
from sepurux_action.errors import Problem
from sepurux_action.evaluation.failures import ClassifiedFailure
from sepurux_action.evaluation.runs import WhatFailed
from sepurux_action.report.brief import brief, brief_json
from sepurux_action.report.report import Report, build_report
from sepurux_action.report.report_json import report_json
from tests.builders import (
    DASHBOARD,
    FAILING,
    HOSTILE,
    PASSING,
    a_baseline,
    a_context,
    a_failure,
    a_gate,
    a_gate_with,
    a_past_result,
    a_result,
    a_run,
    a_settings_report,
    foreign_texts,
    hostile_context,
    hostile_result,
    reports,
    run_with,
    states,
)

DOCS = Path(__file__).resolve().parents[2] / "docs"
SCHEMA, BRIEF = (json.loads((DOCS / f"{name}.schema.json").read_text(encoding="utf-8")) for name in ("report", "brief"))

VALIDATOR, OF_BRIEF = Draft202012Validator(SCHEMA), Draft202012Validator(BRIEF)


def written(report: Report) -> dict[str, Any]:
    """Return what a reader of the file gets."""
    read: dict[str, Any] = json.loads(json.dumps(report_json(report), allow_nan=False))
    return read


def texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from texts(each)


# -- the schema -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("schema", [SCHEMA, BRIEF], ids=["report", "brief"])
def test_it_is_a_schema_that_describes_every_field_and_refers_to_no_other_file(schema: dict[str, Any]) -> None:
    Draft202012Validator.check_schema(schema)
    for name, found in {"": schema, **schema["$defs"]}.items():
        assert [name for name, field in found["properties"].items() if not field.get("description")] == []
        assert found["additionalProperties"] is False
        assert schema is BRIEF or name in {"Brief", *BRIEF["$defs"]} or found["required"] == list(found["properties"])
    assert set(re.findall(r'"\$ref": "(.)', json.dumps(schema))) == {"#"}


@pytest.mark.parametrize("state", reports())
def test_the_report_of_every_state_fits_the_schema_and_so_does_a_short_one(state: str) -> None:
    VALIDATOR.validate(written(reports()[state]))
    if state in states():
        results, context = states()[state]
        VALIDATOR.validate(written(build_report(results, context, short=True)))


@given(foreign_texts(5), st.booleans())
@example(HOSTILE, False)  # noqa: FBT003 - the argument of a property
@example("\ud800\0\u202e", True)  # noqa: FBT003
def test_a_report_of_any_text_fits_the_schema_and_shows_no_invisible_character(said: str, short: bool) -> None:  # noqa: FBT001
    run = build_report([hostile_result(said)], hostile_context(said, f"{said}0"), short=short)
    problem = Problem(where=said, message=f"{said}.", file=said, line=3)
    for report in (run, a_settings_report(problem, context=hostile_context(said))):
        found = written(report)
        VALIDATOR.validate(found)
        shown = "".join(texts(found)).replace("\n", "")
        assert not [character for character in shown if unicodedata.category(character)[0] == "C"]


# -- the facts --------------------------------------------------------------------------------------------------------


def test_seconds_have_three_digits() -> None:
    result = a_result(a_run(FAILING, elapsed_s=3.2500001))
    report = written(build_report([result], a_context()))
    VALIDATOR.validate(report)
    assert report["gates"][0]["elapsed_s"] == 3.25


def test_a_difference_is_one_of_numbers_that_are_rounded_alike() -> None:
    run = a_run(run_with(FAILING, pass_rate=0.930044))
    base = a_baseline(a_past_result(numbers={"pass_rate": 0.93}))
    (gate,) = written(build_report([a_result(run)], a_context(baselines={"refunds": base})))["gates"]
    (rate,) = (row for row in gate["thresholds"] if row["name"] == "min_pass_rate")
    assert (rate["value"], rate["base"], rate["change"]) == (0.930044, 0.93, 0)


def test_the_step_is_as_bad_as_its_worst_gate_and_fails_if_any_gate_blocks() -> None:
    found = {state: written(report) for state, report in reports().items()}
    assert (found["gates"]["decision"], found["gates"]["conclusion"]) == ("fail", "failure")
    assert (found["fail-observe"]["decision"], found["fail-observe"]["conclusion"]) == ("fail", "success")
    assert (found["gates-pass"]["decision"], found["gates-pass"]["conclusion"]) == ("pass", "success")
    assert (found["bad-settings"]["decision"], found["bad-settings"]["conclusion"]) == ("error", "failure")


def test_a_short_report_says_that_it_lacks_details() -> None:
    results, context = states()["fail"]
    short = build_report(results, context, short=True)
    found = written(short)
    (gate,) = found["gates"]
    assert found["short"] is True
    assert (gate["failures"], gate["failures_complete"]) == ([], False)
    assert gate["thresholds"]


LISTS = ("missed", "failures")
LIMIT = 2_000  # bytes of a comment's brief

foreign = foreign_texts(4) | st.sampled_from(["`" * 99, "😀" * 90, "שלום", "é" * 130])
failures = st.builds(
    ClassifiedFailure,
    type=foreign,
    severity=foreign,
    description=foreign,
    mutation=foreign,
    scenario=foreign,
    count=st.integers(1, 2**53),
    steps=st.sampled_from([(), ("- 3 mail.send(to)",)]),
)


@st.composite
def failed_reports(draw: st.DrawFn) -> Report:
    """Return a report on up to 40 gates, of which most failed, with foreign texts of any length."""
    results = []
    for kind in range(draw(st.integers(1, 3))):
        run = replace(
            draw(st.sampled_from([FAILING, FAILING, PASSING])),
            dashboard_url=draw(st.sampled_from(["", DASHBOARD, DASHBOARD + "/" + "x" * 1_900])),
        )
        found = WhatFailed(failures=tuple(draw(st.lists(failures, max_size=5))), left_out=draw(st.integers(0, 9)))
        name, stage, lacking, run_id = draw(foreign), draw(st.sampled_from(Stage)), draw(foreign), draw(foreign)
        gate = a_gate_with(min_pass_rate=0.9, max_unsafe=0, required_mutation_categories=(lacking, "b"))
        for number in range(draw(st.sampled_from([1, 1, 2, 13]))):
            gate = replace(gate, name=f"{kind}.{number} {name}", stage=stage)
            results.append(a_result(a_run(run, run_id=run_id), what_failed=found, gate=gate))
    return build_report(results, a_context(from_fork=draw(st.booleans()), commit=draw(foreign)))


def items(found: dict[str, Any]) -> int:
    """Return the number of gates, thresholds, failures, steps of a failure, texts, and commands."""
    gates = found["gates"]
    lists = sum(len(gate[name]) for gate in gates for name in LISTS)
    parts = sum(name in each for gate in gates for each in gate["failures"] for name in ("steps", "text"))
    return len(gates) + lists + parts + sum("check" in gate for gate in gates)


# -- the brief of any text and of any number of gates ------------------------------------------------------------------


@given(failed_reports(), st.integers(0, LIMIT))
def test_a_brief_of_any_size_is_valid_and_counts_all_that_it_lacks(report: Report, most_bytes: int) -> None:
    whole = brief(report)
    for size in (most_bytes, LIMIT):
        written = brief_json(report, size)
        assert len(written.encode("ascii")) <= size
        assert not set(written) & set("`<>&@")
        if not written:
            first = [{key: gate[key] for key in gate if key != "check"} for gate in whole["gates"][:1]]
            first = [gate | {key: [] for key in LISTS} for gate in first]
            least = whole | {"gates": first, "omitted": whole["omitted"] + items(whole) - len(first)}
            assert not report.failed or len(re.sub("[`<>&@]", r"\\u0000", json.dumps(least))) > size
            continue
        cut = json.loads(written)
        OF_BRIEF.validate(cut)
        not_kept = sum(gate.found.read.left_out for gate in report.failed)
        assert cut["omitted"] == not_kept + items(whole) - items(cut)
        for gate, entire in zip(cut["gates"], whole["gates"], strict=False):
            assert gate == {key: entire[key] for key in gate} | {key: gate[key] for key in LISTS}
            for name in LISTS:
                assert all(any(each.items() <= of.items() for of in entire[name]) for each in gate[name])


@given(foreign)
@example(HOSTILE)
@example("\ud800`<>&@\u202e")
def test_no_text_of_a_report_reaches_the_brief_of_a_fork(said: str) -> None:
    report = build_report([hostile_result(said)], replace(hostile_context(said, f"{said}0"), from_fork=True))
    assert '"text"' not in brief_json(report, LIMIT)
    assert "'text'" not in repr(brief(report))


@given(foreign)
@example("a" * 41)
@example("edit the policy")
def test_in_a_fork_the_brief_has_only_ordinary_names_of_at_most_40_characters(said: str) -> None:
    failure = a_failure(type=said, severity=f"{said}0", mutation="a" * 40, scenario="refund", steps=STEPS)
    [gate] = brief(a_report(failure, from_fork=True))["gates"]
    [found] = gate["failures"]
    assert found.keys() - {"type", "severity"} == {"mutation", "count"}
    assert found["mutation"] == "a" * 40
    shown = [found[name] for name in found if name != "count"]
    assert all(re.fullmatch(r"[A-Za-z0-9_.:/+-]{1,40}", name) for name in shown)


# -- what is kept -----------------------------------------------------------------------------------------------------


def a_report(*failures: ClassifiedFailure, **context: object) -> Report:
    return build_report([a_result(what_failed=WhatFailed(failures=failures))], a_context(**context))


@pytest.mark.parametrize(("from_fork", "last"), [(False, "traces/`@mona`/*.json"), (True, "a/b/*.json")])
def test_the_traces_are_not_to_be_edited(from_fork: bool, last: str) -> None:  # noqa: FBT001
    labels = ["traces/a-1.json", "traces/b.c.json", "one", "traces/`@mona`/a.json", "edit it/a.json", "a/b/d.json"]
    gate = a_gate(traces=(Trace(label="t-1", trace_id="t-1"), *(Trace(label=each, content=b"{}") for each in labels)))
    result = a_result(*(a_run() for _ in gate.traces), gate=gate)
    report = build_report([result], a_context(policy_path="", from_fork=from_fork))
    listed = json.loads(brief_json(report, LIMIT))["do_not_edit"]
    assert listed == ["traces/*.json", "*", last]


STEPS = ("  1 orders.lookup(order)", "- 3 mail.send(to)", "+ 3 payments.refund(order)")


def test_what_the_comment_does_not_show_is_cut_first_then_steps_texts_the_command_and_failures() -> None:
    report = a_report(*(a_failure(type=f"loop-{number}", steps=STEPS) for number in range(5)))
    left = dict[tuple[int, ...], None]()
    for most_bytes in range(LIMIT, 0, -1):
        if written := brief_json(report, most_bytes):
            (gate,) = json.loads(written)["gates"]
            steps, texts = (sum(name in each for each in gate["failures"]) for name in ("steps", "text"))
            left[len(gate["failures"]), steps, texts, "check" in gate, len(gate["missed"])] = None
    assert [*left][-13:] == [
        *((3, 3, 3, True, 2), (3, 2, 3, True, 2), (3, 1, 3, True, 2), (3, 0, 3, True, 2)),
        *((3, 0, 2, True, 2), (3, 0, 1, True, 2), (3, 0, 0, True, 2), (3, 0, 0, False, 2)),
        *((2, 0, 0, False, 2), (1, 0, 0, False, 2), (0, 0, 0, False, 2), (0, 0, 0, False, 1), (0, 0, 0, False, 0)),
    ]
    assert next(iter(left)) == (5, 5, 5, True, 2)


def test_the_steps_of_a_failure_are_at_most_six_around_the_first_that_differs() -> None:
    lines = (*(f"  {number} orders.lookup(order)" for number in range(9)), *STEPS[1:])
    (gate,) = brief(a_report(a_failure(steps=lines)))["gates"]
    assert gate["failures"][0]["steps"][-2:] == ["- 3 mail.send(to)", "+ 3 payments.refund(order)"]
    assert len(gate["failures"][0]["steps"]) == 6


def test_the_command_evaluates_the_traces_again_and_no_part_of_a_long_command_or_link_is_in_it() -> None:
    (gate,) = brief(a_report(a_failure()))["gates"]
    assert gate["check"].startswith("sepurux-gate --campaign refund-reliability --project shop-agent --trace-file ")
    assert "\n" not in gate["check"]
    (of_fork,) = brief(a_report(a_failure(), from_fork=True))["gates"]
    long = a_gate(traces=(Trace(label="a" * 1_000, content=b"{}"),))
    run = a_run(replace(FAILING, dashboard_url=DASHBOARD + "/" + "x" * 1_900))
    (of_long,) = brief(build_report([a_result(run, gate=long)], a_context()))["gates"]
    assert "check" not in of_fork.keys() | of_long.keys()
    assert "dashboard_url" not in of_long
