"""Filter patterns: GitHub's own examples, order, and problems."""

import re
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sepurux_action.config.parsers import parse_paths

# GitHub's cheat sheet: a pattern, names that it takes, and after the bar names that it does not.
CHEAT_SHEET = r"""
feature/*             feature/my-branch feature/your-branch | feature/a/b feature
feature/**            feature/beta-a/my-branch feature/your-branch feature/mona/the/octocat | features/x
main                  main | mainly domain
*                     main releases README.md | all/the/branches
**                    all/the/branches every/tag a
*feature              mona-feature feature ver-10-feature | a/feature features
v2*                   v2 v2.0 v2.9 | v1 av2
v[12].[0-9]+.[0-9]+   v1.10.1 v2.0.0 | v3.0.0 v1.10. v1..1 v1x10x1
*.jsx?                page.js page.jsx | page.jsxx page.j a/page.js
*.js                  app.js index.js | js/index.js
**.js                 index.js js/index.js src/js/app.js | index.jsx
docs/*                docs/README.md docs/file.txt | docs/a/b.md
docs/**               docs/README.md docs/mona/octocat.txt | a/docs/x docs
docs/**/*.md          docs/README.md docs/mona/hello-world.md docs/a/markdown/file.md | docs/x.txt docsx.md
**/docs/**            docs/hello.md dir/docs/my-file.txt space/docs/plan/space.doc | xdocs/a docs
**/README.md          README.md js/README.md | xREADME.md
**/*src/**            a/src/app.js my-src/code/js/app.js | src src.js
**/*-post.md          my-post.md path/their-post.md | post.md
**/migrate-*.sql      migrate-10909.sql db/migrate-v1.0.sql db/sept/migrate-v1.sql | migrate-a/b.sql
Octo+                 Octo Octoooo | Oct
[CB]at                Cat Bat | at CBat cat
[0-9a-f]              7 c | g 77
a**/b                 a/b ax/y/b | ab
a\*                   a* | ab
a\\b                  a\b | ab
\!a                   !a | a
\[x]                  [x] | x
x!y                   x!y | x
a.b                   a.b | axb
"""
atoms = st.sampled_from(["a", "b", "/", ".", "*", "**", "**/", "a+", "b?", "[ab]", "[a-c]+", "\\*", "/**/"])
patterns = st.lists(atoms, min_size=1, max_size=7).map("".join).filter(lambda text: not text.startswith("!"))
names = st.text("abc/.*", max_size=9)


@pytest.mark.parametrize("line", CHEAT_SHEET.strip().splitlines())
def test_a_pattern_takes_what_githubs_cheat_sheet_says(line: str) -> None:
    pattern, _, names = line.partition(" ")
    taken, _, others = (part.split() for part in names.partition("|"))
    assert [name for name in (*taken, *others) if parse_paths(pattern).matches(name)] == taken


@pytest.mark.parametrize(
    ("message", "patterns"),
    [
        ("is no filter pattern", ["?a", "**/?", "+", "*+", "a++", "[ab", "a\\", "[!a]", "[.]", "a\n[a"]),
        ("is no filter pattern", ["[]", "[b-a]", "[ac-a]", "[a-Z]", "[a-]", "[٣]"]),
        *(("one line without control characters", ["a\x07"]), ("of at most 500 characters", ["a" * 501])),
        ("from the repository's root", ["a\n!", "/src/**", "./src", "a\n!../src", "docs/"]),
        *(("all patterns begin with `!`", ["!docs/**", "", "\n"]), ("it has 101 patterns", ["a\n" * 101])),
    ],
)
def test_a_pattern_that_never_fits_is_a_problem(message: str, patterns: list[str]) -> None:
    for pattern in patterns:
        with pytest.raises(ValueError, match=message):
            parse_paths(pattern)


def test_a_list_has_at_most_a_hundred_patterns_and_their_order_counts() -> None:
    assert parse_paths("a\n" * 100).matches("a")
    assert [parse_paths(text).matches("a") for text in ("a\n!a", "a\n!a\na")] == [False, True]
    assert parse_paths("a\n!b") == parse_paths(" a \n\n !b") != parse_paths("a\nb")


class CountingName(str):
    __slots__ = ("read",)

    def __iter__(self) -> Iterator[str]:
        for character in str(self):
            self.read = getattr(self, "read", 0) + 1
            yield character


@pytest.mark.parametrize("pattern", ["**a" * 160, "*a" * 249, "a?" * 249, "**/" * 160 + "b", "[a-z]+" * 80, "a+" * 249])
def test_each_character_of_a_name_is_read_once_for_all_patterns_however_hostile_they_are(pattern: str) -> None:
    patterns = parse_paths("\n".join([pattern] * 20))
    name = CountingName("a" * 4000 + "!")
    assert not patterns.matches(name)
    assert name.read == len(name)


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
        found = parse_paths("\n".join(("!" if negative else "") + pattern for negative, pattern in listed))
    except ValueError:
        return
    included = False
    for negative, pattern in listed:
        if slowly(pattern).fullmatch(name):
            included = not negative
    assert found.matches(name) is included
