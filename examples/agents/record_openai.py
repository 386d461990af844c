import my_agent  # your agent, whose TOOLS are functions by their names
from sepurux_recorder import Scenario, main, replace_tools

SCENARIOS = [
    Scenario("refund approved", "Order A-1001 arrived broken. Please refund it.", calls={"refund": 1}),
    Scenario("refund not approved", "I do not like order A-1002. Please refund it.", calls={"refund": 0}),
]


class Stubs:  # in place of the agent's tools: each recording has an object of its own
    def look_up_order(self, order):
        return {"state": "delivered", "approval_token": "approval-7" if order == "A-1001" else None}

    def refund(self, order, approval_token=None):
        return {"ok": True}


def run(request):  # or async def
    return my_agent.answer(request)


if __name__ == "__main__":
    replace_tools(my_agent.TOOLS, Stubs)
    main(run, SCENARIOS)
