import my_agent  # your agent, with its clients of services
from sepurux_recorder import Scenario, expect, main, recorded

SCENARIOS = [
    Scenario("refund approved", "Order A-1001 arrived broken. Please refund it.", calls={"payments.refund": 1}),
    Scenario("refund not approved", "I do not like order A-1002. Please refund it.", calls={"payments.refund": 0}),
]


class Payments:  # in place of a service: each recording has an object of its own
    refunds = 0

    def refund(self, order, approval_token=None):
        self.refunds += 1
        expect("refunds once", self.refunds == 1)
        return {"ok": True}


def run(request):  # or async def
    return my_agent.answer(request)


if __name__ == "__main__":
    my_agent.payments = recorded(Payments, "payments")  # one line for each service
    main(run, SCENARIOS)
