"""No text of a backend, a pull request, or a file can change the markup of a report: it is shown as it was written."""

import re
import shlex
import string
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import requests
from hypothesis import example, given
from hypothesis import strategies as st

from sepurux_action.common.json_reader import Reading, safe_url
from sepurux_action.common.secret import Redactor
from sepurux_action.config.options import Stage
from sepurux_action.config.settings import Change, Trace
from sepurux_action.errors import EvaluationError, Problem
from sepurux_action.evaluation import api
from sepurux_action.evaluation.api import find_campaign
from sepurux_action.evaluation.decision import ApprovalStatus, GateDecision
from sepurux_action.evaluation.gate_numbers import Base
from sepurux_action.evaluation.runs import Decision, Failure
from sepurux_action.report.markdown import ZERO_WIDTH_SPACE, code, commands, escaped, link, prose
from sepurux_action.report.render import render_comment, render_summary
from sepurux_action.report.report import Report, build_report
from tests import builders, gfm
from tests.builders import HOSTILE, a_context, a_gate, a_result, a_run, foreign_texts, hostile_context, hostile_result

OWN_TAGS = frozenset(
    {"h2", "h3", "h4", "p", "strong", "code", "a", "ol", "ul", "li", "table", "thead", "tbody", "tr", "th", "td"}
    | {"span", "pre"}
)
VARYING = frozenset({"code", "span"})  # as many as the text has ordinary names and dollar signs
VARYING |= {"li", "a", "strong"}  # a list has as many items as fit, of which each has a link at most
LIVE = re.compile(
    r"@\w|#\w|(?<![a-z0-9])GH-\d|://|www\.|:[\w+-]+:|(?<![a-z0-9])[0-9a-f]{7,40}(?![a-z0-9])|[\u202a-\u202e\u2066-\u2069]",
    re.IGNORECASE,
)
foreign = foreign_texts(12)
addresses = st.text("/:?#[]@!$&'()*+,;=%-._~aZ0", max_size=40).map(lambda rest: f"https://app.sepurux.dev/{rest}")


def as_comment(report: Report) -> str:
    return render_comment(report, MARKER).removeprefix(MARKER)


MARKER = "<!-- sepurux-gate:gates -->"
in_comment_and_summary = pytest.mark.parametrize("render", [render_summary, as_comment])
Render = Callable[[Report], str]


def assert_only_own_markup(page: gfm.Page, harmless: gfm.Page) -> None:
    """Check that the page has the tags, links, and cells of a page with a harmless text, and no live text."""
    assert set(page.tags) <= OWN_TAGS
    assert page.tags - _varying(page) == harmless.tags - _varying(harmless)
    assert page.cells == harmless.cells
    assert {target for target, _ in page.links} == {target for target, _ in harmless.links}
    assert not LIVE.findall(page.prose)
    assert not [piece for piece in page.pieces if "$" in piece and piece != "$"]


def _varying(page: gfm.Page) -> Counter[str]:
    return Counter({tag: count for tag, count in page.tags.items() if tag in VARYING})


def run_page(render: Render, word: str) -> gfm.Page:
    passed = a_result(a_run(builders.PASSING), gate=a_gate(name=f"{word} passed"))
    soft = a_gate(name=f"{word} approved", stage=Stage.SOFT)
    approved = a_result(gate=soft, approval=ApprovalStatus(approved_by=(word + "1",)), notes=(f"{word} is near",))
    results = hostile_result(word), hostile_result(f"{word} too", traces=1), approved, passed
    return gfm.read(render(build_report(results, hostile_context(word, *(each.gate.name for each in results)))))


@cache
def harmless_run_page(render: Render) -> gfm.Page:
    return run_page(render, "calm")


@in_comment_and_summary
@given(said=foreign)
@example(said=HOSTILE)
def test_no_text_of_a_run_breaks_the_structure_of_a_report(render: Render, said: str) -> None:
    assert_only_own_markup(run_page(render, said), harmless_run_page(render))


@in_comment_and_summary
@given(said=foreign)
@example(said=HOSTILE)
@example(said="`é:`")  # and a digit after it
def test_no_text_of_a_problem_in_the_settings_breaks_the_structure_of_a_report(render: Render, said: str) -> None:
    def page(word: str) -> gfm.Page:
        problems = [Problem(where=f"{word}{n}", message=f"{word}{n}") for n in range(2)]
        return gfm.read(render(builders.a_settings_report(*problems)))

    assert_only_own_markup(page(said), page("calm"))


@given(addresses)
@example("https://app.sepurux.dev/a)[x](https://evil.example/&copy;<>")
@example("https://app.sepurux.dev/a)b(c?d=e&copy;=f&lt=1#g_h_i*j*")
@example("HTTPS://app.sepurux.dev:8443/~x/'$y$'!z,w;v=@u+t%20s")
def test_a_dashboard_is_linked_to_the_letter_or_not_at_all(address: str) -> None:
    result = hostile_result("calm", address=safe_url(address))
    page = gfm.read(render_summary(build_report([result], a_context())))
    linked = {unbracketed(target) for target, label in page.links if label == "Sepurux run"}
    assert linked == ({unbracketed(address)} if safe_url(address) else set())


def unbracketed(address: str) -> str:
    """Return the URL as the parser writes it, with percent-encoded brackets."""
    return address.replace("[", "%5B").replace("]", "%5D")


def letters(shown: str) -> list[str]:
    """Return the printable ASCII characters, which escaping must not lose."""
    return [letter for letter in shown if letter in string.printable and letter.isprintable() and letter != " "]


@given(foreign)
@example(HOSTILE)
def test_a_text_and_a_name_are_shown_to_the_letter_and_are_no_structure(said: str) -> None:
    for around in ("{}", "- {}", "1. {}", "> {}", "## {}", "| |\n| --- |\n| {} |"):
        for escape in (escaped, code):
            page = gfm.read(around.format(escape(said, longest=10_000)))
            harmless = gfm.read(around.format(escape("calm")))
            assert page.tags - _varying(page) - Counter("p") == harmless.tags - _varying(harmless) - Counter("p")
            assert (page.cells, page.links) == (harmless.cells, [])
            assert letters(page.prose + "".join(page.code)) == letters(said)


@given(foreign, st.integers(1, 50))
def test_an_escaped_text_shows_no_more_than_its_length(said: str, longest: int) -> None:
    for shown in (escaped(said, longest=longest), code(said, longest=longest)):
        page = gfm.read(f"a {shown}")
        seen = "".join([page.prose, *page.code]).replace("\n", "").replace("\u200b", "")
        assert len(seen) <= len("a ") + longest


@given(foreign)
def test_no_marker_begins_or_ends_within_a_text(said: str) -> None:
    report = build_report([hostile_result(said)], hostile_context(said, f"{said}0"))
    for rendered in (render_summary(report), as_comment(report).strip("\n")):
        assert "-->" not in re.sub(r"[0-9] --> [0-9]", "", rendered)  # a chart's axis
        assert "<!--" not in rendered
        assert "\n\n\n" not in rendered
        assert "\0" not in rendered


@given(foreign)
@example("refund twice'; rm -rf /")
@example("refund --> twice")
@example(HOSTILE)
def test_a_command_is_shown_to_the_letter_or_not_at_all(said: str) -> None:
    line = f"python record_traces.py traces --only {shlex.quote(said)}"
    shown = commands([line, "sepurux-gate"])
    page = gfm.read(f"before\n\n{shown}\n\nafter")
    assert (page.tags, page.code) == (
        (Counter(p=2, pre=1, code=1), [f"{line}\nsepurux-gate\n"]) if shown else (Counter(p=2), [])
    )
    assert "-->" not in shown
    assert bool(shown) or not re.fullmatch(r"[\w.-]+( [\w.-]+)*", said, re.ASCII)


ordinary = st.from_regex(
    r"[A-Za-z0-9_.:/+-]{1,12}( [A-Za-z0-9_.:/+-]{1,12}){0,2}", fullmatch=True
)  # within 40 characters


def errors(name: str) -> Iterator[GateDecision]:
    """Yield gates whose errors quote a name: a campaign, a project, a trace, a run, or a base's run."""
    listed = [{"name": name, "campaign_id": f"{name} {n}"} for n in range(2)]
    for wanted in ("another", name):
        with pytest.raises(EvaluationError) as caught:
            find_campaign(listed, wanted, name)
        yield a_result(builders.undecided(Decision.ERROR, caught.value.reason, caught.value.hint))
    gate = a_gate(campaign=name, project=name)
    for base in (None, builders.some_results(*[builders.a_past_result()] * 3)):
        run = a_run(replace(builders.PASSING, numbers={**builders.PASSING.numbers, "pass_rate": Reading(0.5)}))
        dropping = replace(gate, limits={"max_pass_rate_drop": 0.01})
        yield a_result(run, gate=dropping, base=Base(results=base, name=f"`{name.replace(' ', '-')}`"))
    for call, status in (
        *((api.create_run(gate, "c", name, {}, "k"), 404), (api.create_run(gate, "c", "", {}, "k"), 400)),
        *((api.upload_trace(b"{}", name, name, "k"), 413), (api.poll_run(run_id=name, batch_id="", project=name), 401)),
    ):
        response = requests.Response()
        response.status_code = status
        refused = api.parse_response(call, response, b"", api.Credentials(), Redactor())
        assert not refused.temporary
        yield a_result(builders.undecided(Decision.ERROR, refused.error, refused.hint))


def test_no_text_from_outside_becomes_a_link_to_a_page_that_our_sentences_name() -> None:
    page = "`Settings > Secrets and variables > Actions`"
    detail = api.error_detail(b'{"detail": "%s"}' % page.encode(), Redactor())
    named = [each for name in (page, f'a" {page} "') for each in errors(name)]
    for result in (a_result(builders.undecided(Decision.ERROR, f"Sepurux refused it (HTTP 422: {detail}).")), *named):
        report = build_report([result], a_context())
        assert "/settings/secrets" not in render_summary(report) + as_comment(report)
    ours = build_report([a_result(builders.undecided(Decision.ERROR, f"Look at {page}."))], a_context())
    assert "/settings/secrets" in as_comment(ours)


@given(ordinary)
@example("gpt-4o-refunds")
@example("5a0e7b52-64cf-4f0e-9d2b-0c6f1f7f8a11")
@example("deadbeef GH-1 a:b")
def test_no_report_on_ordinary_names_contains_an_invisible_character(name: str) -> None:
    failure = Failure(type=name, severity="high", description="It failed.", mutation=name)
    run = replace(builders.FAILING, failing_tools={name: 1}, categories=(name,))
    traces = [Trace(label=f"{name} {n}") for n in range(2)]
    scenarios = tuple(builders.a_scenario(name, run, trace=trace, failures=(failure,)) for trace in traces)
    found: dict[str, Any] = {"failures": (failure,), "scenarios": scenarios}
    gate = a_gate(name=name, campaign=name, project=name, mutation_pack=name, required_mutation_categories=("x-1",))
    soft = ApprovalStatus(commit=builders.COMMIT, can_approve=(name,), ignored=(name,))
    change = Change("campaign", name, f"{name} 2", name)
    context = a_context(base_ref=name, base_results={name: builders.some_results()}, policy_changes=(change,))
    of_traces = [a_run(run, trace=trace, trace_id=name) for trace in traces]
    results = [[a_result(a_run(run), **found, gate=gate, approval=soft)], [a_result(*of_traces, gate=gate, **found)]]
    results += [[replace(each, gate=gate)] for each in errors(name)]
    results.append([replace(each[0], gate=replace(gate, name=f"{name} {n}")) for n, each in enumerate(results)])
    reports = [build_report(each, context) for each in results]
    for report in [
        *reports,
        builders.a_settings_report(Problem(where="input `campaign`", message=f'"{name}" is not accepted')),
    ]:
        for rendered in (render_summary(report), as_comment(report)):
            assert f"`{name}`" in rendered or f"`{name} 1`" in rendered
            assert not re.search("[\u200b-\u200f\u2060\ufeff]", rendered)
            assert not re.search(r"&#?\w+;", rendered.replace("&#95;", ""))


# One attack for each construct that the parser or GitHub acts on; the properties above find others.
STRUCTURE = (
    *("# heading", "- item", "+ item", "1. item", "2) item", "> quote", "---", "===", ":--", "    indented"),
    *("| a | b |", "```sh", "`code`", "*em* _em_", "~~gone~~", "\\*escaped\\*", "$x^2$", "/merge", "{{ 7 * 7 }}"),
    *("<img src=x>", "<!-- comment -->", "</details>", "&lt;b&gt;", "[^1]: note", "[x]: https://evil.example"),
    *("![alt](https://evil.example/p.png)", "[click](https://evil.example)", "www.evil.example", "a@b.co"),
)
LINKED = ("@octocat", "#1", "GH-3", "GHSA-aaaa-bbbb-cccc", "3F9C2AD", ":tada:", "https://github.com/acme/shop/pull/1")


@pytest.mark.parametrize("attack", STRUCTURE)
def test_text_is_shown_as_it_is_and_is_no_structure(attack: str) -> None:
    for before in ("", "a line before\n", "- ", "1. ", "> ", "## "):
        page, calm = gfm.read(before + escaped(attack)), gfm.read(before + "calm")
        assert {tag: count for tag, count in page.tags.items() if tag != "span"} == calm.tags
        assert attack.strip() in page.prose.replace(ZERO_WIDTH_SPACE, "").replace("\n", " ")
    page = gfm.read(f"| {escaped(attack)} | b |\n| --- | --- |\n| c | {code(attack)} |\n")
    assert (page.cells, page.links) == ([2, 2], [])
    assert not page.code or code(attack) == f"`{attack.strip()}`"


@pytest.mark.parametrize("word", LINKED)
def test_what_github_links_after_parsing_is_broken_by_a_zero_width_space(word: str) -> None:
    shown = gfm.read(escaped(f"see {word} there")).prose
    assert word not in shown
    assert word in shown.replace(ZERO_WIDTH_SPACE, "")
    page = gfm.read(code(word))
    assert page.code == [word] or word not in page.prose


@pytest.mark.parametrize(
    ("shown", "written"),
    [
        (escaped("feedback facade"), "feedback facade"),
        (escaped("72.0% of at least 85.0%"), "72.0% of at least 85.0%"),
        *((each("12. c"), "12&#46; c") for each in (escaped, prose)),
        *((each("4.5 points: - a/b"), "4.5 points: - a/b") for each in (escaped, prose)),
        (prose("`a`: b"), "`a`: b"),
        (escaped("customer_id of _x_ __e__"), "customer_id of &#95;x&#95; &#95;&#95;e&#95;&#95;"),
        (escaped("a" * 16), f"a{ZERO_WIDTH_SPACE}" * 16),  # no rest of a commit is one
        (escaped("a\rb\nc\r\nd\u2028e\tf\x85g"), "a b c d e f g"),
        (escaped("a\u202eb\u2066c\u200bd\ufeffe\u00adf\u3164g\x1bh\ufe0fi"), "abcdefghi"),
        *((escaped("e" + "\u0301" * 50), "\xe9\u0301\u0301"), (escaped("x" * 300), "x" * 300)),
        *((escaped("x " * 200), "x " * 149 + "x…"), (code("\u200b \u3164\n"), "")),
        *((code("Refund API: v2/eu-west_1"), "`Refund API: v2/eu-west_1`"), (code("x" * 80), f"`{'x' * 80}`")),
        *((commands(["a=1", "b --c 'd'"]), "```sh\na=1\nb --c 'd'\n```"), (commands(["a", "b\u202ec"]), "")),
        *((link("x", address), "x") for address in ("javascript:alert(1)", "", "data:text/html,x", "//evil.example")),
        (link("Open [it*", "https://a.example"), "[Open &#91;it&#42;](https://a.example)"),
        (link("x", 'https://a.example/ |<>"\\`é\n\udcff'), "[x](https://a.example/%20%7C%3C%3E%22%5C%60%C3%A9%0A?)"),
    ],
)
def test_what_can_be_read_is_written_and_nothing_that_cannot_be_seen(shown: str, written: str) -> None:
    assert shown == written


def test_prose_shows_what_stands_between_backticks_as_code() -> None:
    page = gfm.read(prose("raise `timeout` above `@octocat` and `<b>`, or ` leave it"))
    assert page.code == ["timeout", "@octocat"]
    assert page.prose.split() == ["raise", "above", "and", "<b>,", "or", "`", "leave", "it"]
