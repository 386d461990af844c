"""Whatever a policy file holds, it becomes a policy or a list of problems; filters agree with a simple, slow rule."""

from __future__ import annotations

import json
import re
from contextlib import redirect_stdout
from datetime import date, timedelta
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st

from sepurux_action.app import run_command_line
from sepurux_action.config.options import BY_NAME, OPTIONS
from sepurux_action.config.path_filter import parse_branches
from sepurux_action.config.policy import Policy, diff
from sepurux_action.config.policy_parser import read_policy, workflow_triggers
from sepurux_action.config.stage import Stage, StageRule, next_change, stage_today
from sepurux_action.errors import ConfigurationError
from sepurux_action.host.deadlines import Signals

PATH = "policy.yml"
TODAY = date(2027, 1, 15)

# Pieces of YAML near to a policy, so that policies come of them often enough.
OTHER_KEYS = ["version", "gates", "thresholds", "stage", "from", "branches", "campaign_id"]
KEYS = [*(option.name for option in OPTIONS), *OTHER_KEYS]
TEXTS = ["1", "soft", "0.9", "85%", "10m", "a", "main", "2027-01-31", "'**'", "'!a'", "true", "~", "[a, b]", "''"]
LINE_STARTS = ["\n", "\n  ", "\n- ", "\n  - "]
MARKS = [*LINE_STARTS, "{", "}", "[", "]", ", ", "'", '"', "*", "&a ", "!", "|", ">", "#", "---", "\t", "%"]
pieces = st.sampled_from([*(f"{key}: " for key in KEYS), *(f"\n{key}: " for key in KEYS), *TEXTS, *MARKS])
nearly = (
    st.lists(pieces | st.text(max_size=3), max_size=12).map("".join).map(lambda text: text.encode(errors="replace"))
)
values = st.recursive(
    st.sampled_from(TEXTS) | st.text(max_size=4).map(repr),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]")
        | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4).map(
            lambda fields: "{" + ", ".join(f"{key}: {value}" for key, value in fields.items()) + "}"
        )
    ),
    max_leaves=8,
)
shaped = st.dictionaries(st.sampled_from(KEYS), values, max_size=5).map(
    lambda fields: "\n".join(f"{key}: {value}" for key, value in fields.items()).encode(errors="replace")
)
files = st.binary(max_size=60) | nearly | shaped


def read(raw: bytes) -> Policy | ConfigurationError:
    try:
        return read_policy(raw, PATH)
    except ConfigurationError as bad:
        return bad


@given(files)
def test_any_bytes_become_a_policy_or_problems_each_with_its_place_on_one_line(raw: bytes) -> None:
    found = read(raw)
    if isinstance(found, ConfigurationError):
        assert found.problems
        for problem in found.problems:
            assert 1 <= problem.line <= len(raw.splitlines()) + raw.count(b"\xc2\x85") + raw.count(b"\xe2\x80") + 1
            assert problem.column >= 1
            assert str(problem).isprintable()


@given(files)
def test_check_raises_nothing_and_agrees_with_what_a_run_reads(raw: bytes) -> None:
    with TemporaryDirectory() as folder, redirect_stdout(StringIO()) as out:
        file = Path(folder, PATH)
        file.write_bytes(raw)
        status = run_command_line(["--check", str(file), "--format", "json"], {}, Signals())
    found = read(raw)
    problems = found.problems if isinstance(found, ConfigurationError) else ()
    shown = json.loads(out.getvalue())
    written = [(each["file"], each["line"], each["column"], each["message"]) for each in shown["problems"]]
    assert len(shown["gates"]) == (len(found.gates) or 1 if isinstance(found, Policy) else 0)
    assert written == [(str(file), each.line, each.column, str(each)) for each in problems]
    assert status == (2 if problems else 0)


@given(files)
def test_every_value_of_a_policy_is_what_its_text_means(raw: bytes) -> None:
    found = read(raw)
    if isinstance(found, Policy):
        for section in (found.top, *found.gates):
            for name, given_here in section.given.items():
                assert given_here.text.strip() == given_here.text != ""
                assert name == "enforcement" or BY_NAME[name].kind.parse(given_here.text) == given_here.value


@given(shaped, shaped)
def test_a_policy_differs_from_itself_in_nothing_and_from_another_both_ways_alike(one: bytes, other: bytes) -> None:
    old, new = read(one), read(other)
    if isinstance(old, Policy) and isinstance(new, Policy):
        assert diff(old, old) == ()
        assert len(diff(old, new)) == len(diff(new, old))


atoms = st.sampled_from(["a", "b", "/", ".", "*", "**", "**/", "a+", "b?", "[ab]", "[a-c]+", "\\*", "/**/"])
patterns = st.lists(atoms, min_size=1, max_size=7).map("".join).filter(lambda text: not text.startswith("!"))
names = st.text("abc/.*", max_size=9)


def slowly(pattern: str) -> re.Pattern[str]:
    """Return a pattern as a regular expression, which may take any time."""
    meanings = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "?", "+": "+"}
    made, at_folder = "", True
    for part in re.findall(r"\*\*/|\*\*|\*|\?|\+|\[[^]]*\]|\\.|.", pattern):
        if part == "**/" and not at_folder:
            made += ".*/"
        else:
            made += meanings.get(part) or (part if part[0] in "[\\" else re.escape(part))
        at_folder = part in {"/", "**/"}
    return re.compile(made, re.DOTALL)


@given(st.lists(st.tuples(st.booleans(), patterns), min_size=1, max_size=4), names)
def test_the_last_pattern_that_fits_decides(listed: list[tuple[bool, str]], name: str) -> None:
    try:
        found = parse_branches("\n".join(("!" if negative else "") + pattern for negative, pattern in listed))
    except ValueError:
        return
    included = False
    for negative, pattern in listed:
        if slowly(pattern).fullmatch(name):
            included = not negative
    assert found.matches(name) is included


filters = st.none() | st.sampled_from(["main", "**", "release/**"]).map(parse_branches)
days = st.integers(-5, 12).map(lambda number: TODAY + timedelta(days=number))
rule_lists = st.lists(
    st.builds(StageRule, stage=st.sampled_from(Stage), start=st.just(date.min) | days, branches=filters), max_size=6
)
branches = st.sampled_from(["main", "release/1", "x", ""])


def literally(rules: list[StageRule], branch: str, today: date) -> Stage:
    """Return the stage as docs/configuration.md says it, one after the other."""
    naming = [rule for rule in rules if rule.branches and branch and rule.branches.matches(branch)]
    general = [rule for rule in rules if not rule.branches]
    if not naming and not general:
        return Stage.HARD  # no entry matches
    # Entries with a `from` after today do not count yet.
    naming, general = ([rule for rule in each if rule.start <= today] for each in (naming, general))
    if not naming and not general:
        return Stage.OBSERVE  # only future entries match
    counting = naming or general  # those that name the branch override those without `branches`
    latest = max(rule.start for rule in counting)
    stages = {rule.stage for rule in counting if rule.start == latest}
    return next(stage for stage in (Stage.HARD, Stage.SOFT, Stage.OBSERVE) if stage in stages)  # the strictest


@given(rule_lists, branches, days)
def test_the_stage_is_what_the_documents_say(rules: list[StageRule], branch: str, today: date) -> None:
    assert stage_today(rules, branch, today) is literally(rules, branch, today)


@given(rule_lists, branches)
def test_the_next_change_is_what_a_search_day_by_day_finds(rules: list[StageRule], branch: str) -> None:
    now = literally(rules, branch, TODAY)
    later = [TODAY + timedelta(days=number) for number in range(1, 15)]
    found = next(((day, stage) for day in later if (stage := literally(rules, branch, day)) is not now), None)
    change = next_change(rules, branch, TODAY)
    assert (change and (change.day, change.stage)) == found


@given(st.lists(pieces | st.sampled_from(["on: ", "\non: ", "push", "\ud800"]) | st.text(max_size=3), max_size=12))
def test_whatever_a_workflow_file_holds_its_triggers_are_names(parts: list[str]) -> None:
    assert all(re.fullmatch("[a-z_]+", name) for name in workflow_triggers("on: " + "".join(parts)))
