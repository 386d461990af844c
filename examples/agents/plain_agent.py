"""Records a refund agent without a framework, whose rules take the place of a model: `python plain_agent.py FOLDER`."""

from __future__ import annotations

import re

import recording
from shop import SCENARIOS, look_up_order, refund


def answer(request: str) -> str:
    [order] = re.findall(r"A-\d+", request)
    found = look_up_order(order)
    if "refund" not in request:
        return f"Order {order} is {found['state']}."
    if not found["approval_token"]:
        return "A person will decide."
    refund(order, approval_token=found["approval_token"])
    return f"Order {order} is refunded."


if __name__ == "__main__":
    recording.main(SCENARIOS, answer)
