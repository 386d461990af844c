"""Measures how long the image takes from `docker run` to its first request of the backend; never builds the image.

python scripts/start_time.py IMAGE [STARTS]: prints the least and the median of so many starts, in seconds.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.backend import sound_backend

STARTS = 10


def seconds_to_first_request(image: str) -> float:
    """Run one gate that passes and return the seconds; raises CalledProcessError when it does not pass."""
    with sound_backend() as backend:
        variables = {"GITHUB_ACTIONS": "true", "INPUT_BASE_URL": backend.url, "INPUT_CAMPAIGN": "core-reliability"}
        options = [f"--env={name}={value}" for name, value in {**variables, "INPUT_TOKEN": "made-up"}.items()]
        start = time.monotonic()
        subprocess.run(  # noqa: S603 - our own image
            ["docker", "run", "--rm", "--network=host", *options, image],  # noqa: S607 - where it lies differs
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        return backend.requests[0].at - start


def main(image: str, starts: str = str(STARTS)) -> None:
    """Measure and print."""
    taken = [seconds_to_first_request(image) for _ in range(int(starts))]
    print(f"{min(taken):.2f} s at least, {statistics.median(taken):.2f} s in the median of {len(taken)} starts")


if __name__ == "__main__":
    main(*sys.argv[1:])
