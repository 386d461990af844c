"""The sandbox's command line. It serves until SIGINT or SIGTERM and then exits with status 0."""

import argparse
import signal
from pathlib import Path
from threading import Event

from sepurux_action.sandbox.server import LOOPBACK, Sandbox

DISCLAIMER = "This sandbox replays nothing and mutates nothing; it is no substitute for the product."


def main() -> None:
    """Print a line that begins with the URL, and serve until a signal; exit with status 2 if it cannot."""
    about = f"An embedded Sepurux CI API, for trying and testing. {DISCLAIMER}"
    parser = argparse.ArgumentParser(prog="python -m sepurux_action.sandbox", description=about)
    parser.add_argument("--host", default=LOOPBACK, metavar="ADDRESS", help=f"IPv4 address (default: {LOOPBACK})")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one (default)")
    parser.add_argument("--certificate", type=Path, metavar="FILE", help="speak https with it and its key (PEM)")
    parser.add_argument("--token", help="the credential to ask for (default: none is asked for)")
    options = parser.parse_args()
    ended = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    address = options.host, options.port
    try:
        with Sandbox(token=options.token, address=address, certificate=options.certificate) as sandbox:
            print(sandbox.url, f"Sepurux sandbox. {DISCLAIMER}", flush=True)  # noqa: T201 - the user waits for it
            ended.wait()
    except (OSError, OverflowError) as error:
        used = f"port {options.port} of {options.host}"
        if options.certificate:
            used += f" with certificate {options.certificate}"
        parser.error(f"{used} cannot be used: {error}")


if __name__ == "__main__":
    main()
