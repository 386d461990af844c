"""The command line to copy: a shell passes on the settings of the same gate, with any names."""

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sepurux_action.common import json_reader
from sepurux_action.config.command_line import PROGRAM, command_lines, parse_command_line
from sepurux_action.config.options import flag_layer
from sepurux_action.config.settings import Gate, Trace, read_settings
from sepurux_action.evaluation.metrics import sent_limits
from tests.builders import HOSTILE, TRACE_ID, a_gate

HOST = "app.sepurux.dev"
LIMITS = {"min_pass_rate": 0.85, "max_unsafe": 0, "min_reliability_score": 80, "min_mutation_categories": 3}
UPLOADED = Trace(label="traces/a b.json", content=b"{}"), Trace(label="traces/it's.json", trace_id="t", content=b"{}")
EVERYTHING = a_gate(
    traces=(Trace(label=TRACE_ID, trace_id=TRACE_ID), *UPLOADED),
    mutation_pack="pack-1",
    limits=LIMITS,
    required_mutation_categories=("timeouts", "schema drift"),
)
# No `--`: argparse of some supported versions of Python drops it even in `--campaign=--`, and then the gate asks for a
# campaign.
names = (
    st.text(st.characters(exclude_categories=["C", "Zs", "Zl", "Zp"]) | st.just(" "), min_size=1)
    .map(lambda text: " ".join(text.split()) or "x")
    .filter(lambda name: name != "--" and json_reader.visible(name) == name)  # a command line has only visible text
)


def arguments(gate: Gate, folder: Path) -> list[str]:
    """Return the arguments that a shell passes to `sepurux-gate`, through a fake program of that name."""
    fake = folder / PROGRAM
    fake.write_text("#!/bin/sh\nprintf '%s\\0' \"$@\"\n")
    fake.chmod(0o755)
    done = subprocess.run(
        ["/bin/sh", "-c", "\n".join(command_lines(gate, HOST))],
        env={"PATH": f"{folder}:{os.defpath}", "LC_ALL": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
    )
    assert done.stderr == b""
    return done.stdout.decode(errors="surrogateescape").split("\0")[:-1]


def reproduced(gate: Gate, folder: Path) -> Gate:
    """Return the gate of the command line's settings."""
    flags = parse_command_line(arguments(gate, folder)).texts

    def find(pattern: str) -> tuple[Trace, ...]:
        return (Trace(label=pattern, content=b"{}"),)

    found = read_settings([flag_layer(flags)], find)
    assert found.problems == ()
    return found.gates[0]


def test_a_shell_makes_the_same_gate_of_it(tmp_path: Path) -> None:
    made = reproduced(EVERYTHING, tmp_path)
    assert (made.campaign, made.project, made.mutation_pack) == ("refund-reliability", "shop-agent", "pack-1")
    assert sent_limits(made) == sent_limits(EVERYTHING)
    assert [trace.label for trace in made.traces] == [trace.label for trace in EVERYTHING.traces]


@given(name=names)
@example(name="$(touch x); `touch x` && 'touch' \"x\" \\")
@example(name="--token=x")
@example(name="-")
@example(name=HOSTILE.replace("\u202e", "").replace("\u200b", ""))
def test_no_name_ends_its_argument(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    gate = a_gate(campaign=name, project=name, traces=(Trace(label=name, content=b"{}"),))
    made = reproduced(gate, tmp_path_factory.mktemp("shell"))
    assert (made.campaign, made.project, sent_limits(made)) == (name, name, sent_limits(gate))
    assert [trace.label for trace in made.traces] == [name]


def test_a_command_line_has_only_what_can_be_seen_and_names_the_backend_if_it_is_not_the_vendors() -> None:
    *_, line = command_lines(a_gate(campaign="a\u202eb\nc\x00", project="\u200b"), HOST)
    assert line.startswith("sepurux-gate --campaign 'ab c' --trace-file ")
    lines = list(command_lines(a_gate(), "sepurux.example.com"))
    assert lines[1] == "export SEPURUX_API_BASE_URL=...   # the workflow's base_url"
    assert list(command_lines(a_gate(), "")) == list(command_lines(a_gate(), HOST)) == [lines[0], *lines[2:]]
    drops = {"max_pass_rate_drop": 0.03}  # a command line has no base branch
    with_drops = replace(EVERYTHING, limits=LIMITS | drops)
    assert list(command_lines(with_drops, "")) == list(command_lines(EVERYTHING, ""))
