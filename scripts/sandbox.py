"""Serves the embedded CI API on its own, for jobs in this repository, until SIGINT or SIGTERM: status 0.

It prints a line that begins with the URL. `sepurux-gate --sandbox` is for everyone else.
"""

import argparse
import signal
import ssl
import sys
from pathlib import Path
from threading import Event

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from sepurux_action.sandbox import Sandbox


def main() -> None:
    parser = argparse.ArgumentParser(description="Serve an embedded CI API, which mutates nothing.")
    parser.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help="IPv4 address of this machine")
    parser.add_argument("--port", type=int, default=0, help="default: a free one")
    parser.add_argument(
        "--certificate",
        type=Path,
        metavar="FILE",
        help="PEM file with its key, for https, as the gate requires but on loopback",
    )
    parser.add_argument("--token", help="the secret to ask for (default: none)")
    options = parser.parse_args()
    ended = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    try:
        sandbox = Sandbox(token=options.token, address=(options.host, options.port))
        if options.certificate:
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain(options.certificate)
            # No handshake in accept(): a silent client must block its own thread, not the one that accepts.
            sandbox.socket = tls.wrap_socket(sandbox.socket, server_side=True, do_handshake_on_connect=False)
            sandbox.url = sandbox.url.replace("http", "https", 1)
        with sandbox:
            print(sandbox.url, "is a sandbox, which mutates nothing", flush=True)
            ended.wait()
    except (OSError, OverflowError) as error:
        parser.error(f"port {options.port} of {options.host}, certificate {options.certificate}: {error}")


if __name__ == "__main__":
    main()
