"""Trace files are found only in their folders, and only JSON objects are accepted."""

import os
import re
from pathlib import Path

import pytest

from sepurux_action.errors import TraceFileError
from sepurux_action.evaluation.traces import CREATE_FIRST, MAX_BYTES, WORKING_DIRECTORY, TraceFolder
from sepurux_action.host.output import plain
from tests.runner import TRACE

NO_NAMES = ["n" * 300, "n" * 300 + "*", "a/" * 3_000 + "x.json", "a\0b.json", "a\0*", "*\0", "\0", "a\ud800.json"]
ACCENTED = TRACE.replace("refund", "remboursé")
NOT_JSON = [
    *((b"", "line 1, column 1: Expecting value"), (b'{\n "a": 1,\n "b" 2}', "line 3, column 6: ")),
    (b'{"a": 1} {"b": 2}', "line 1, column 10: Extra data"),
    *((content, "it is not UTF-8 text") for content in (b'{"a": "\xff"}', b"\xff\xfe{")),
]
UNUSABLE = [
    *((b'{"a": NaN}', "NaN is no JSON number"), (b'{"a": [-Infinity]}', "-Infinity is no JSON number")),
    *((b'{"a":' * depth, "it has more than 100 levels of objects and lists") for depth in (101, 200_000)),
    *((b'{"a": 1, "b": {"n": 1, "n": 1}}', "an object has a name twice"), (b'{"a": 1, "\\u0061": 2}', "an object has")),
]


@pytest.fixture
def base(tmp_path: Path) -> Path:
    folder = tmp_path / "workspace"
    folder.mkdir()
    return folder


def write(folder: Path, *names: str, content: bytes = TRACE.encode()) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def labels(folder: Path, pattern: str, *allowed: Path) -> list[str]:
    return [trace.label for trace in TraceFolder(folder, allowed).find(pattern)]


def rejection(folder: Path, pattern: str, *allowed: Path) -> str:
    with pytest.raises(TraceFileError) as error:
        TraceFolder(folder, allowed).find(pattern)
    return str(error.value)


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        *(("*.json", ["B.json", "a.json", "b.json"]), ("traces/*", ["traces/1.json", "traces/2.json"])),
        *(("traces/?.json", ["traces/1.json", "traces/2.json"]), ("traces/[!1].json", ["traces/2.json"])),
        ("*/deep/*.json", ["traces/deep/3.json"]),
        ("traces/**", ["traces/1.json", "traces/2.json", "traces/deep/3.json", "traces/deep/er/4.json"]),
        *(("**/er/*", ["traces/deep/er/4.json"]), ("./traces/../traces/1.json", ["traces/1.json"])),
        *(("traces/../*.json", ["B.json", "a.json", "b.json"]), (".h*/*.json", [".hidden/5.json"])),
    ],
)
def test_a_glob_names_files_by_name_and_no_hidden_ones(base: Path, pattern: str, found: list[str]) -> None:
    write(base, "b.json", "a.json", "B.json", ".secret.json", ".hidden/5.json", "folder.json/.6.json")
    write(base, "traces/2.json", "traces/1.json", "traces/deep/3.json", "traces/deep/er/4.json")
    assert [os.path.normpath(label) for label in labels(base, pattern)] == found


def test_a_glob_is_one_also_if_a_file_has_that_name_and_in_a_workspace_that_looks_like_one(tmp_path: Path) -> None:
    write(tmp_path, "w[1]*/*.json", "w[1]*/a1.json", "w1/b.json")
    base = tmp_path / "w[1]*"
    assert (labels(base, "*.json"), labels(base, "a[1].json")) == (["*.json", "a1.json"], ["a1.json"])


@pytest.mark.parametrize("pattern", ["**/**/4.json", "**/a/**", "*/../x.json"])
def test_a_glob_that_could_take_minutes_or_leave_the_folder_is_rejected(base: Path, pattern: str) -> None:
    told = " must have at most one `**`, and no `..` after a wildcard"
    assert rejection(base, pattern) == f'"{pattern}"{told}'


@pytest.mark.parametrize("pattern", ["/*", "/proc/**", "everything/*", "every*/*", "*/*"])
def test_a_glob_names_no_file_outside(base: Path, pattern: str) -> None:
    write(base, "traces/x.json")
    (base / "everything").symlink_to("/etc")
    told = " must be a file in the workspace, without links out of it"
    assert rejection(base, pattern) in {f'"{pattern}"{told}', f'"{pattern}" must match at most 100 files'}


def test_an_absolute_path_or_glob_may_lead_into_workspace_and_temporary_folder(base: Path, tmp_path: Path) -> None:
    temp = tmp_path / "temp"
    write(base, "a.json")
    write(temp, "made/b.json")
    expected = {"{base}/a.json": "a.json", "{base}/*.json": "a.json", "{temp}/**/*.json": "{temp}/made/b.json"}
    for pattern, found in expected.items():
        assert labels(base, pattern.format(base=base, temp=temp), temp) == [found.format(temp=temp)]


@pytest.mark.parametrize("allowed", ["temp", "other"])
@pytest.mark.parametrize(
    "pattern",
    [
        *("{temp}/../temp-2/x.json", "{temp}-2/*.json", "../temp/x.json", "../temp/*.json"),
        *("{base}/../temp/x.json", "../*/x.json", "a/../../temp/x.json"),
    ],
)
def test_a_path_outside_is_rejected_and_reveals_nothing(base: Path, tmp_path: Path, pattern: str, allowed: str) -> None:
    write(tmp_path, "temp/x.json", "temp-2/x.json", "workspace/a/y.json")
    given, temp = pattern.format(base=base, temp=tmp_path / "temp"), tmp_path / allowed
    text = rejection(base, given, temp)
    assert "must be a file in the workspace or " in text
    assert "*" in pattern or rejection(base, given.replace("x.json", "none"), temp) == text.replace("x.json", "none")


def test_links_within_a_folder_are_followed_but_neither_double_files_nor_keep_the_search_busy(base: Path) -> None:
    write(base, "traces/x.json")
    (base / "link.json").symlink_to("traces/x.json")
    (base / "traces" / "one").symlink_to(".")
    (base / "everything").symlink_to("/")
    assert labels(base, "link.json") == ["link.json"]
    assert labels(base, "t**/*.json") == ["traces/x.json"]
    assert rejection(base, "**/*.nowhere") == '"**/*.nowhere" matches no file in the workspace' + CREATE_FIRST


def test_a_missing_file_is_reported_with_the_folders_that_were_searched(base: Path, tmp_path: Path) -> None:
    (base / "ring.json").symlink_to("ring.json")
    for allowed, where in ([], ""), ([tmp_path / "temp"], " or the runner's temporary folder"):
        for name in ("none.json", "ring.json"):
            told = f'"{name}" was not found as a file in the workspace{where}{CREATE_FIRST}'
            assert rejection(base, name, *allowed) == told
        assert rejection(base, "*.json", *allowed) == f'"*.json" matches no file in the workspace{where}{CREATE_FIRST}'


@pytest.mark.parametrize("pattern", ["folder", ".", "folder/", "", "pipe.json"])
def test_a_folder_or_a_fifo_is_no_file_and_is_not_read(base: Path, pattern: str) -> None:
    (base / "folder").mkdir()
    os.mkfifo(base / "pipe.json")
    assert rejection(base, pattern).endswith(" was not found as a file in the workspace" + CREATE_FIRST)
    assert rejection(base, "*.json") == '"*.json" matches no file in the workspace' + CREATE_FIRST


def test_every_bad_file_of_a_glob_is_reported(base: Path) -> None:
    for name, content in {"a": "[]", "b": TRACE, "c": "{"}.items():
        (base / f"{name}.json").write_text(content)
    (base / "d.json").symlink_to("/etc/hostname")
    with pytest.raises(TraceFileError) as caught:
        TraceFolder(base).find("*.json")
    assert [str(each).partition('"')[2][:6] for each in caught.value.args] == ["a.json", "c.json", "d.json"]


def test_a_file_that_cannot_be_read_is_reported_with_the_systems_message() -> None:
    process = Path(f"/proc/{os.getpid()}")  # no one can read the first byte of `mem`
    assert rejection(process, "mem") == '"mem": Input/output error'


@pytest.mark.parametrize("name", NO_NAMES, ids=range(8))
def test_a_name_that_no_system_accepts_is_rejected(base: Path, name: str) -> None:
    assert b"\0" not in rejection(base, name).encode()


@pytest.mark.parametrize("name", ["a\nb.json", "::error::x.json", "x##[set-env name=a]b.json", "a\x1b[31m\u202e.json"])
def test_a_hostile_name_stays_one_line_of_plain_text(base: Path, name: str) -> None:
    write(base, name, content=b"[]")
    for pattern in ("*", f"-{name}"):
        text = rejection(base, pattern)
        assert text.isprintable()
        assert "::" not in plain(text)[:2]
        assert "##[" not in plain(text)


def test_a_file_name_that_is_no_utf_8_is_found_and_its_label_can_be_written(base: Path) -> None:
    Path(os.fsdecode(os.fsencode(base) + b"/a\xff.json")).write_bytes(TRACE.encode())
    (label,) = labels(base, "*.json")
    assert label.encode() == b"a.json"


def test_a_hundred_files_are_found_and_one_more_is_too_many(base: Path) -> None:
    write(base, *(f"{number:03}.json" for number in range(100)))
    assert len(labels(base, "*.json")) == 100
    write(base, "one-more.json")
    assert rejection(base, "*.json") == '"*.json" must match at most 100 files'


def test_all_files_together_have_at_most_64_mib(base: Path) -> None:
    folder = TraceFolder(base)
    write(base, "small.json", "rest.json", "huge.json", "one-more.json")
    for name, size in (("rest.json", MAX_BYTES - len(TRACE)), ("huge.json", 1 << 40)):
        os.truncate(base / name, size)
    assert folder.find("small.json") == folder.find("s*.json")
    too_much = 'with "{}", the trace files must have at most 64 MiB'
    for name, why in (("huge.json", too_much), ("rest.json", '"{}" is not valid JSON'), ("one-more.json", too_much)):
        with pytest.raises(TraceFileError, match=re.escape(why.format(name))):
            folder.find(name)


def test_a_trace_has_at_most_a_million_objects(base: Path) -> None:
    for more, why in ((0, ""), (1, '"t.json" must have at most 1,000,000 objects and lists')):
        objects = "{}," * (1_000_000 - TRACE.count("{") - TRACE.count("[") - 1 + more)
        write(base, "t.json", content=f'{{"n": [{objects}1], {TRACE[1:]}'.encode())
        assert (rejection(base, "t.json") if more else "") == why
        assert more or TraceFolder(base).find("t.json")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_json_in_any_of_its_encodings_is_uploaded_as_utf_8_without_a_mark(base: Path, encoding: str) -> None:
    write(base, "t.json", content=ACCENTED.encode(encoding))
    assert [trace.content for trace in TraceFolder(base).find("t.json")] == [ACCENTED.encode()]


@pytest.mark.parametrize(
    "value", ["9" * 5_000, "1e999", '"\\ud800"', '{"\\u0000": 0}\n', f'"{"[" * 999}"'], ids=range(5)
)
def test_odd_but_valid_json_is_left_for_the_backend(base: Path, value: str) -> None:
    content = f' {{"n": {value}, {TRACE[1:]}\n'.encode()
    write(base, "t.json", content=content)
    assert [trace.content for trace in TraceFolder(base).find("t.json")] == [content]


def test_what_is_no_json_object_is_rejected_with_its_position(base: Path) -> None:
    write(base, "a.json")
    for content, why in NOT_JSON:
        write(base, "t.json", content=content)
        assert rejection(base, "*.json").startswith(f'"t.json" is not valid JSON: {why}')
    for content, why in UNUSABLE:
        write(base, "t.json", content=content)
        assert rejection(base, "*.json").startswith(f'"t.json" cannot be used: {why}')
    for content in (b"[{}]", b"null"):
        write(base, "t.json", content=content)
        assert rejection(base, "*.json").startswith('"t.json" is not a JSON object, as a trace must be')


def test_a_file_that_several_gates_share_is_read_once(base: Path) -> None:
    write(base, "traces/a.json")
    folder = TraceFolder(base)
    (first,) = folder.find("traces/a.json")
    write(base, "traces/a.json", content=b"no JSON any more")
    assert folder.find("traces/*.json")[0].content is first.content


def test_on_a_command_line_a_missing_file_is_missing_in_the_working_directory(base: Path) -> None:
    with pytest.raises(TraceFileError, match=f"in {WORKING_DIRECTORY}$"):
        TraceFolder(base, name=WORKING_DIRECTORY).find("none.json")


@pytest.mark.parametrize("temp", ["temp", "workspace/temp", "."], ids=["beside", "inside", "around"])
@pytest.mark.parametrize(
    "pattern", ["link.json", "link.jso?", "linke?/x.json", "deep/folder/x.json", "deep/folder/*.json"]
)
def test_a_path_of_one_folder_does_not_lead_into_the_other(temp: str, pattern: str, base: Path, tmp_path: Path) -> None:
    """The credentials of an earlier step are JSON in the runner's temporary folder."""
    workspace, temporary = base, tmp_path / temp
    for start, target in ((workspace, temporary), (temporary, workspace), (workspace, tmp_path)):
        secret = target / "secret"
        write(secret, "x.json", content=b'{"secret": 1}')
        (start / "deep").mkdir(exist_ok=True)
        for link, to in (("link.json", secret / "x.json"), ("deep/folder", secret), ("linked", secret)):
            (start / link).unlink(missing_ok=True)
            (start / link).symlink_to(to)
        assert "must be a file in " in rejection(workspace, f"{start}/{pattern}", temporary)


def test_a_path_through_a_link_and_back_up_is_checked_where_the_system_finds_it(base: Path, tmp_path: Path) -> None:
    write(base, "x.json", "inner/y.json")
    write(tmp_path, "temp/x.json", "temp/inner/y.json")
    (base / "out").symlink_to(tmp_path / "temp/inner")
    (base / "in").symlink_to("inner")
    assert "must be a file in " in rejection(base, "out/../x.json", tmp_path / "temp")
    assert [trace.content for trace in TraceFolder(base).find("in/../x.json")] == [TRACE.encode()]


def test_folders_behind_links_are_known_by_both_spellings(base: Path, tmp_path: Path) -> None:
    write(base, "x.json")
    write(tmp_path, "temp/y.json")
    assert labels(tmp_path, "**/*.json", tmp_path / "temp") == ["temp/y.json", "workspace/x.json"]
    (tmp_path / "door").symlink_to(base)
    (tmp_path / "hatch").symlink_to(tmp_path / "temp")
    for pattern in ("x.json", f"{base}/x.json", f"{tmp_path}/door/x.json", f"{tmp_path}/temp/y.json"):
        assert len(labels(tmp_path / "door", pattern, tmp_path / "hatch")) == 1
    (base / "out.json").symlink_to(tmp_path / "hatch/y.json")
    assert "must be a file in " in rejection(tmp_path / "door", "out.json", tmp_path / "hatch")
