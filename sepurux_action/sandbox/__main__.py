"""The sandbox's command line. It serves until SIGINT or SIGTERM and then exits with status 0."""

from __future__ import annotations

import argparse
import signal
import ssl
import sys
from collections.abc import Sequence
from ipaddress import IPv4Address
from pathlib import Path
from threading import Event

from sepurux_action.sandbox.server import LOOPBACK, Sandbox
from sepurux_action.sandbox.store import Store

DISCLAIMER = "This sandbox replays nothing and mutates nothing; it is no substitute for the product."
HIGHEST_PORT = 65535


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until a signal comes, then return 0. Return 2 if the address or the certificate cannot be used.

    Prints one line, with the URL first, once it accepts requests.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.key and not options.certificate:
        parser.error("--key needs --certificate")
    ended = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    what = f"certificate {options.certificate}"
    try:
        tls = _tls(options.certificate, options.key) if options.certificate else None
        what = f"port {options.port} of {options.host}"
        store = Store(flaky=options.flaky)
        with Sandbox(store, token=options.token, host=str(options.host), port=options.port, tls=tls) as sandbox:
            print(sandbox.url, f"Sepurux sandbox. {DISCLAIMER}", flush=True)  # noqa: T201 - the user waits for it
            ended.wait()
    except OSError as error:
        print(f"{what} cannot be used: {error.strerror}", file=sys.stderr)  # noqa: T201
        return 2
    return 0


def _tls(certificate: Path, key: Path | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sepurux_action.sandbox",
        description=f"An embedded Sepurux CI API, for trying and testing. {DISCLAIMER}",
    )
    parser.add_argument(
        "--host", type=IPv4Address, default=LOOPBACK, metavar="ADDRESS", help=f"IPv4 address (default: {LOOPBACK})"
    )
    parser.add_argument("--port", type=_port, default=0, help="0 takes a free one (default)")
    parser.add_argument("--certificate", type=Path, metavar="FILE", help="speak https with it (PEM)")
    parser.add_argument("--key", type=Path, metavar="FILE", help="its key (default: in the same file)")
    parser.add_argument("--flaky", type=int, metavar="SEED", help="let results vary from run to run, by this seed")
    parser.add_argument("--token", help="the credential to ask for (default: none is asked for)")
    return parser


def _port(text: str) -> int:
    if text.isdecimal() and int(text) <= HIGHEST_PORT:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text} is not a number from 0 to {HIGHEST_PORT}")


if __name__ == "__main__":
    sys.exit(main())
