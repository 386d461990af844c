"""How the text of each option becomes a value."""

import pytest

from sepurux_action.config import options

BAD_ADDRESS = "it must have a host, a valid port, and no user name, query, or fragment"
HUNDRED = tuple(f"u{number}" for number in range(100))
WORDY = ["", "x", "NaN", "sNaN", "inf", "-Infinity", "1e3", "1E-3", "0x10", "1_000", "1,5", "٣", "³", "½", "--5"]
NOT_POSITIVE = ["-1", "-0", "+1"]
OCTAL = ["00", "01", "010"]
# A secret is sent to no address but https or loopback, without anything beside it.
NO_ADDRESSES = r"""
sepurux.example ftp://sepurux.example https:// https:///api https:sepurux.example http://sepurux.example
http://127.0.0.1.evil.example http://localhost.evil.example http://127.1 http://0.0.0.0 http://[::2]
https://user@sepurux.example https://user:word@sepurux.example http://localhost@evil.example
http://localhost:80@evil.example https://sepurux.example?key=1 https://sepurux.example/#x
https://evil.example\@sepurux.example https:\\sepurux.example https://sepurux.example:port
https://sepurux.example:99999 https://[::1 https://::1 https://sepürux.example https://sepurux.example;x
javascript:alert(1)
"""


def test_only_credentials_are_secret_and_not_accepted_in_the_file() -> None:
    secret = {each.name: each.allowed_in for each in options.SECRETS}
    assert secret == dict.fromkeys(("token", "api_key", "github_token"), ())


@pytest.mark.parametrize(
    ("option", "values"),
    [
        (options.MIN_PASS_RATE, {"0.85": 0.85, "85 %": 0.85, "99.95%": 0.9995, "0%": 0.0, "100%": 1.0, ".5": 0.5}),
        (options.MIN_RELIABILITY_SCORE, {"0": 0.0, "1": 1.0, "99.5": 99.5, "100": 100.0}),
        *((options.MAX_PASS_RATE_DROP, {"3%": 0.03}), (options.MAX_UNSAFE, {"0": 0})),
        (options.TIMEOUT, {"600s": 600.0, "1h30m": 5400.0, "1h 30m 15s": 5415.0, "1H": 3600.0}),
        *((options.TIMEOUT, {"24h": 86_400.0, "86400": 86_400.0}), (options.ENFORCEMENT, {"Soft": options.Stage.SOFT})),
        (options.TRACE_ID, {"a, b\nc,,a": ("a", "b", "c")}),
        (options.REQUIRED_MUTATION_CATEGORIES, {"timeouts,\r\nauth ,": ("timeouts", "auth")}),
        (options.TRACE_FILE, {"traces/a,b.json\n\n  traces/*.json \n": ("traces/a,b.json", "traces/*.json")}),
        (options.REVIEWERS, {"@octocat, octo-dog\noctocat\n octo_corp,": ("octocat", "octo-dog", "octo_corp")}),
        *((options.REVIEWERS, {"\n".join(HUNDRED): HUNDRED}), (options.NAME, {"n" * 80: "n" * 80})),
        (options.CAMPAIGN, {"Rückgaben 日本": "Rückgaben 日本"}),
        (options.BASE_URL, {"https://sepurux.example/api/backend/": "https://sepurux.example/api/backend"}),
        (options.BASE_URL, {f"{url}/": url for url in ("http://localhost:8", "HTTP://127.0.0.1", "http://[::1]:8/a")}),
    ],
)
def test_what_is_accepted(option: options.Option[object], values: dict[str, object]) -> None:
    assert {text: option.parse(text) for text in values} == values


@pytest.mark.parametrize(
    ("option", "texts"),
    [
        (options.MIN_PASS_RATE, [*WORDY, *NOT_POSITIVE, "%", "85%%", "%85", "1.01", "100.1%", "101", "0.9.1", "."]),
        (options.MIN_RELIABILITY_SCORE, [*WORDY, *NOT_POSITIVE, *OCTAL, "0.8", "0.999", "100.01", "80%", "80/100"]),
        (options.MAX_PASS_RATE_DROP, [*WORDY, *NOT_POSITIVE, "3", "101%"]),
        (options.MAX_UNSAFE, [*WORDY, *NOT_POSITIVE, *OCTAL, "1.0", "0.5", "10%", "1 0", "1234567890"]),
        (options.TIMEOUT, [*WORDY, *NOT_POSITIVE, "0", "0h", "0m0s", "25h", "86401", "24h1s", "10 minutes", "m"]),
        (options.TIMEOUT, ["0.5", "90.5s", "30m1h", "1h1h", "1.5h", "9" * 20, "9" * 20 + "h", "1h30", "10m30", "1 0"]),
        *((options.TIMEOUT, ["1 0m", "5 5"]), (options.ENFORCEMENT, ["", "strict", "hard soft", "none", "true"])),
        (options.ON_OUTAGE, ["", "deny", "blocked"]),
        (options.FLAKY, ["refund", "a: soon", ": 2027-01-31", "a: 2027-02-30", "a: 2027-1-31", "a:2027-01-31"]),
        (options.TRACE_ID, [",", " , \n ,", "a\x1bb", ",".join(map(str, range(101)))]),
        (options.REQUIRED_MUTATION_CATEGORIES, [",,"]),
        (options.REVIEWERS, ["octo cat", "-octocat", "a" * 40, ", ,", ",".join(f"u{n}" for n in range(101))]),
        (options.NAME, ["n" * 81, "a (main)", "two\nlines", "bell\x07", "right\u202eto left"]),
        *((options.CAMPAIGN, ["two\nlines", "nul\0", "\ud800"]), (options.BASE_URL, NO_ADDRESSES.split())),
        (options.BASE_URL, ["", "https://sepurux.example/a b", "https://sepurux.example/\n", "https://s\tx.example"]),
        (options.TOKEN, ["two\nlines", "a b", "tab\tbed", "ünïcode", "nul\0", "\x7f"]),
    ],
)
def test_what_is_rejected(option: options.Option[object], texts: list[str]) -> None:
    for text in texts:
        with pytest.raises(ValueError):  # noqa: PT011 - the hint is optional
            option.parse(text)


@pytest.mark.parametrize(
    ("option", "text", "hint"),
    [
        (options.MIN_RELIABILITY_SCORE, "0.8", "80 means 80 of 100; did you mean `80`?"),
        *((options.MIN_PASS_RATE, "85", ""), (options.MIN_PASS_RATE, "90 percent", "")),
        *((options.ENFORCEMENT, "hrad", "did you mean `hard`?"), (options.ENFORCEMENT, "nightly", "")),
        *((options.MAX_PASS_RATE_DROP, "0,05", ""), (options.TIMEOUT, "10 minutes", "")),
        (options.CAMPAIGN, "refund-\u200breliability", "it has the invisible character U+200B at position 8"),
        (options.MIN_PASS_RATE, "0.8\u00a05", "it has the invisible character U+00A0 at position 4"),
        (options.TRACE_FILE, "a.json\nb\x1b.json", "it has the invisible character U+001B at position 9"),
        (options.MIN_RELIABILITY_SCORE, "101", ""),
        (options.CAMPAIGN, "${{ vars.CAMPAIGN }}", "it holds `${{`, which only a workflow replaces"),
        (options.MAX_UNSAFE, "${{ vars.MAX }}", "it holds `${{`, which only a workflow replaces"),
        (options.TRACE_ID, ",", "it lists nothing"),  # and not all registered scenarios
        *((options.REVIEWERS, name, f'"{name}" has other characters') for name in ("a/b", "a[bot]", "öcto")),
        (options.REVIEWERS, ",".join(f"u{n}" for n in range(101)), "it lists 101, more than 100"),
        (options.FLAKY, "a: 2027-01-31\nb: soon", '"b: soon" has no scenario, or no day'),
        (options.FLAKY, "a : 2027-01-31\na: 2028-01-31", '"a" has two days'),
        *((options.NAME, "n" * 81, "it has 81 characters"), (options.NAME, "a (b)", "it ends with `)`")),
        (options.BASE_URL, "http://sepurux.example", BAD_ADDRESS),
    ],
)
def test_a_rejection_hints_at_the_problem_where_it_can_be_guessed(
    option: options.Option[object], text: str, hint: str
) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011 - compared as a whole below
        option.read(text)
    assert str(error.value) == hint
