"""A command line: what goes to stdout and to stderr, colors, missing characters, and the line that is rewritten."""

import io
import re

import pytest

from sepurux_action.common.secret import Redactor
from sepurux_action.host.output import START_OF_EMPTY_LINE, WAITING, Level, Terminal
from tests.builders import HOSTILE

SECRET = "secret-of-no-one"
LINES = ["✗ refunds failed", "", "  ✓ Pass rate   95.0%   needs ≥ 90.0%", "  low ✗ ×1: text"]


class Stream(io.TextIOWrapper):
    def __init__(self, *, tty: bool = False, encoding: str = "utf-8") -> None:
        self._bytes, self._tty = io.BytesIO(), tty
        super().__init__(self._bytes, encoding, errors="replace")

    def isatty(self) -> bool:
        return self._tty

    def getvalue(self) -> str:
        return self._bytes.getvalue().decode()


class Streams(Terminal):
    def __init__(self, environ: dict[str, str] | None = None, *, tty: bool = False, encoding: str = "utf-8") -> None:
        self._streams = Stream(tty=tty, encoding=encoding), Stream(tty=tty, encoding=encoding)
        super().__init__(environ or {}, out=self._streams[0], log=self._streams[1])
        self.mask_secrets(Redactor([SECRET]))

    def waiting(self, what: str, elapsed_s: float, left_s: float) -> str:
        self._started -= elapsed_s
        self.wait(what, left_s)
        return self.written[1]

    @property
    def written(self) -> tuple[str, str]:
        out, log = self._streams
        return out.getvalue(), log.getvalue()


def test_log_and_annotations_go_to_stderr_and_are_no_commands() -> None:
    streams = Streams()
    streams.log(f"::error::##[error] \x1b[31m{SECRET}\n")
    streams.annotate(Level.WARNING, f"one\n::two {SECRET}", title="Title")
    streams.set_outputs({"decision": "pass"})
    streams.write_summary("# Report")
    written, errors = streams.written
    assert written == ""
    assert errors.splitlines() == [": :error::## [error] [31m***", "warning: one", "warning: : :two ***"]


@pytest.mark.parametrize("tty", [False, True])
def test_a_result_goes_to_stdout_and_beside_a_document_is_not_repeated(tty: bool) -> None:  # noqa: FBT001
    text = "\n".join([*LINES, "  *** [2J 31m é", ""])
    streams = Streams({"NO_COLOR": "1"}, tty=tty)
    streams.write_result([*LINES, f"  {SECRET} \x1b[2J\r\x9b31m\ud800 é"])
    assert streams.written == (text, "")
    streams = Streams({"NO_COLOR": "1"}, tty=tty)
    streams.write_result(LINES, f"{{}}\n{SECRET} \ud800 é\n")
    assert streams.written == ("{}\n*** ? é\n", "" if tty else "\n".join([*LINES, ""]))


@pytest.mark.parametrize(
    ("environ", "tty", "colored"),
    [
        *(({}, True, True), ({}, False, False), ({"TERM": "dumb"}, True, False), ({"NO_COLOR": "1"}, True, False)),
        *(({"FORCE_COLOR": "1"}, False, True), ({"FORCE_COLOR": "0"}, False, False)),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, True, False),
    ],
)
def test_color_follows_the_usual_rules(environ: dict[str, str], tty: bool, colored: bool) -> None:  # noqa: FBT001
    streams = Streams(environ, tty=tty)
    streams.write_result(LINES)
    assert ("\x1b[1m" in streams.written[0]) is colored


def test_the_word_at_the_start_of_a_line_is_colored_and_a_heading_is_bold() -> None:
    streams = Streams({"FORCE_COLOR": "1"})
    streams.write_result([*LINES, "  critical unsafe", "  medium unsafe", "  severe unsafe", "  highest"])
    streams.annotate(Level.WARNING, "!")
    out, log = (written.replace("\x1b", "").splitlines() for written in streams.written)
    assert out == [
        *("[31m✗[0m [1mrefunds failed[0m", "", "  [32m✓[0m Pass rate   95.0%   needs ≥ 90.0%"),
        *("  [2mlow[0m ✗ ×1: text", "  [31mcritical[0m unsafe", "  [33mmedium[0m unsafe"),
        *("  severe unsafe", "  highest"),
    ]
    assert log == ["[33mwarning:[0m !"]


@pytest.mark.parametrize(
    ("environ", "tty"), [({}, False), ({"FORCE_COLOR": "1"}, False), ({"TERM": "dumb"}, True), ({"CI": "true"}, True)]
)
def test_a_line_is_rewritten_only_on_a_terminal(environ: dict[str, str], tty: bool) -> None:  # noqa: FBT001
    streams = Streams(environ, tty=tty)
    streams.wait("refunds: running", 600)
    streams.progress("started batch 1")
    streams.close()
    assert streams.written == ("", "started batch 1\n")


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_a_stream_without_the_symbols_gets_words_that_differ_and_rows_stay_aligned(encoding: str) -> None:
    streams = Streams(tty=True, encoding=encoding)
    rows = ["  ✗ Pass rate   72.0%   needs ≥ 85.0%", "  ✓ Failures        0   needs 0", "  … billing         –"]
    streams.wait("refunds: running", 600)
    streams.write_result(["✗ refunds failed", *rows, "      - 5 mail.send(to, …)"])
    streams.write_result(["✓ refunds passed"])
    out, log = streams.written
    assert re.sub(r"\x1b\[\d+m", "", out).splitlines() == [
        *("FAIL refunds failed", "  FAIL Pass rate   72.0%   needs >= 85.0%", "  ok   Failures        0   needs 0"),
        *("  ...  billing         -", "      - 5 mail.send(to, ...)", "ok refunds passed"),
    ]
    assert log.startswith("refunds: running, 0 s (gives up in 10 min)")
    streams.wait("c" * 100, 600)
    assert re.search(r"c\.\.\., 0 s \(gives up in 10 min\)$", streams.written[1])
    assert "?" not in out + log


def test_the_line_shows_both_times_and_is_cut_to_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = []
    for columns in (80, 50, 10):
        monkeypatch.setenv("COLUMNS", str(columns))
        shown.append(Streams(tty=True).waiting("refund-reliability: running", 12.4, 587.6))
    assert shown[0] == f"{WAITING} refund-reliability: running, 12 s (gives up in 9 min 48 s)"
    assert shown[1] == f"{WAITING} refund-reliab…, 12 s (gives up in 9 min 48 s)"
    assert len(shown[2]) == 7


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_wide_characters_make_no_line_too_wide(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    shown = Streams(tty=True).waiting("退款" * columns, 12, 588)
    assert len(shown) + len(re.findall("[退款]", shown)) <= columns
    assert "\0" not in shown


def test_the_line_is_erased_at_the_end_and_before_a_line_that_stays() -> None:
    streams = Streams(tty=True)
    streams.progress("started batch 1")
    streams.wait(f"refunds: {SECRET}\n\r\x1b[2J {HOSTILE}", 600)
    streams.log("stays")
    streams.write_result(["result"])
    out, log = streams.written
    assert out == "result\n"
    assert "started batch 1" not in log
    assert "refunds: *** [2J" in log
    assert SECRET not in log
    assert log.endswith(f"{START_OF_EMPTY_LINE}\n")
    assert [line.rpartition(START_OF_EMPTY_LINE)[2] for line in log.split("\n")] == ["stays", "", ""]
    assert "\x1b" not in log.replace(START_OF_EMPTY_LINE, "")
    assert "\r" not in log.replace(START_OF_EMPTY_LINE, "")
