"""Which URLs may be linked or called."""

from __future__ import annotations

import pytest

from sepurux_action.common.urls import is_loopback, safe_url

LINKED = """
https://app.sepurux.dev/runs/1?tab=a&b=(c)#d HTTPS://APP.SEPURUX.DEV https://host:8443/@team/x
http://localhost:8000/runs/1 http://127.0.0.1/ http://[::1]:8000/x
"""
DROPPED = r"""
https:// https:host //host/x javascript:alert(1) data:text/html,x ftp://host/x http://app.sepurux.dev/
http://127.0.0.1.evil.example/ http://localhost.evil.example/ http://localhost@evil.example/
https://user@host/ https://user:word@host/ https://host\@evil.example/ https://host/"onmouseover=" https://host/<b>
https://host/`x` https://host/|x https://hÖst/ https://host:port/ https://host:99999/ https://[::1/
"""
LONG = "https://h/" + "x" * 1990


@pytest.mark.parametrize("address", [*LINKED.split(), LONG])
def test_an_address_that_may_be_linked_stays_as_it_is(address: str) -> None:
    assert safe_url(address) == address


@pytest.mark.parametrize(
    "address", [*DROPPED.split(), None, 3, "", "https://ho st/", "https://host/\n", "\thttps://host/", LONG + "x"]
)
def test_any_other_address_is_dropped(address: object) -> None:
    assert safe_url(address) == ""


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "127.0.0.1", "127.9.9.9", "::1"])
def test_this_machine_is_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["", "127.1", "0.0.0.0", "127.0.0.1.evil.example", "localhost.", "10.0.0.1", "::2"])  # noqa: S104
def test_every_other_host_is_not(host: str) -> None:
    assert not is_loopback(host)
