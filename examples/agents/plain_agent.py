"""A refund agent without a framework, whose rules take the place of a model. record_plain.py records it."""

from __future__ import annotations

import re

from shop import Payments

payments = Payments()


def answer(request: str) -> str:
    [order] = re.findall(r"A-\d+", request)
    if "broken" not in request:
        return "A person will decide."
    payments.refund(order, approval_token="approval-7")  # noqa: S106 - made up
    return f"Order {order} is refunded."
