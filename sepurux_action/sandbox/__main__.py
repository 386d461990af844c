"""The sandbox's command line. It serves until SIGINT or SIGTERM and then exits with status 0."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from threading import Event

from sepurux_action.sandbox.server import LOOPBACK, Faults, Sandbox
from sepurux_action.sandbox.store import FAILING_SCENARIOS, FLAKY_CAMPAIGN, FLAKY_RATE, MANY_CAMPAIGN, Store

DISCLAIMER = "This sandbox replays nothing and mutates nothing; it is no substitute for the product."


def main() -> int:
    """Print a line that begins with the URL, and serve until a signal; return 2 if it cannot, else 0."""
    about = f"An embedded Sepurux CI API, for trying and testing. {DISCLAIMER}"
    parser = argparse.ArgumentParser(prog="python -m sepurux_action.sandbox", description=about)
    parser.add_argument("--host", default=LOOPBACK, metavar="ADDRESS", help=f"IPv4 address (default: {LOOPBACK})")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one (default)")
    parser.add_argument("--certificate", type=Path, metavar="FILE", help="speak https with it and its key (PEM)")
    parser.add_argument("--token", help="the credential to ask for (default: none is asked for)")
    many = f"registered scenarios of campaign {MANY_CAMPAIGN}, of which {FAILING_SCENARIOS} fail"
    parser.add_argument("--scenarios", type=int, default=0, metavar="N", help=many)
    flaky = f"let the results of campaign {FLAKY_CAMPAIGN} vary by this seed, {FLAKY_RATE:.0%} passed on average"
    parser.add_argument("--flaky", type=int, metavar="SEED", help=flaky.replace("%", "%%"))
    parser.add_argument("--delay", type=float, default=0, metavar="SECONDS", help="time that each response takes")
    parser.add_argument("--broken", default="", metavar="PATTERN", help="paths that respond 503, a regular expression")
    undone = "a tool that needs no approval_token, although its name has an irreversible verb; you can repeat it"
    parser.add_argument("--reversible", action="append", default=[], metavar="TOOL", help=undone)
    options = parser.parse_args()
    store = Store(scenarios=options.scenarios, flaky=options.flaky, reversible=options.reversible)
    at, faults = (options.host, options.port), Faults(options.delay, options.broken)
    sandbox = Sandbox(store, token=options.token, address=at, certificate=options.certificate, faults=faults)
    ended = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    try:
        with sandbox:
            print(sandbox.url, f"Sepurux sandbox. {DISCLAIMER}", flush=True)  # noqa: T201 - the user waits for it
            ended.wait()
    except (OSError, OverflowError) as error:
        address = f"port {options.port} of {options.host}"
        used = f"{address} with certificate {options.certificate}" if options.certificate else address
        print(f"{used} cannot be used: {error}", file=sys.stderr)  # noqa: T201
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
