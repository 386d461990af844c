"""What a policy file means for each gate. What neither it nor a default sets is left to the inputs of the workflow."""

from collections.abc import Iterator

from sepurux_action.common import number_format
from sepurux_action.common.wording import optional
from sepurux_action.config import options
from sepurux_action.config.gate import Gate, Trace
from sepurux_action.config.layers import input_layer
from sepurux_action.config.policy import Policy
from sepurux_action.config.settings import read_settings
from sepurux_action.config.stage import OnOutage, Stage

OF_INPUT = "of the input"  # a campaign that only the workflow gives


def gate_plans(policy: Policy) -> Iterator[str]:
    """Yield a line for each gate of a policy; raises ConfigurationError with what only a whole gate shows."""
    inputs = {options.CAMPAIGN.name: OF_INPUT, options.TRACE_FILE.name: "*"}  # which the workflow may give
    found = read_settings([input_layer(inputs)], lambda path: (Trace(label=path, content=b""),), policy)
    for gate in found.gates:
        name = "a gate without a name" if gate.name == OF_INPUT else gate.name
        yield f"{name}: {'; '.join(filter(None, _parts(gate)))}"


def _parts(gate: Gate) -> Iterator[str]:
    yield f"campaign {gate.campaign}"
    yield ", ".join(f"{name} {number_format.decimal(limit)}" for name, limit in gate.limits.items())
    required = ", ".join(gate.required_mutation_categories)
    yield optional(f"{options.REQUIRED_MUTATION_CATEGORIES.name} {{}}", required)
    yield gate.stage
    if gate.stage is Stage.SOFT:
        yield f"{', '.join(gate.reviewers) or 'anyone with write access'} can approve"
    if gate.on_outage is OnOutage.ALLOW:
        yield "does not block if Sepurux is down"
    yield optional("only for changes of {}", gate.paths)
    yield optional("flaky: {}", ", ".join(f"{name} until {day}" for name, day in gate.flaky))
    yield f"waits {number_format.duration(gate.timeout_s)} at most"
