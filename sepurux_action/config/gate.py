"""A gate as configured: its traces, thresholds, and stage."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

from sepurux_action.config import options
from sepurux_action.config.path_filter import Filter
from sepurux_action.config.stage import OnUndecided, Stage, StageRule


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """The thresholds of a gate; None: not set. Rates are fractions, scores are 0 to 100; both drops are positive."""

    min_pass_rate: float | None = None
    max_unsafe: int | None = None
    max_failures: int | None = None
    min_reliability_score: float | None = None
    min_mutation_categories: int | None = None
    required_mutation_categories: tuple[str, ...] = ()
    max_pass_rate_drop: float | None = None
    max_reliability_score_drop: float | None = None

    def as_json(self) -> dict[str, object]:
        """Return the thresholds that are set, with the names of the body of `POST /v1/ci/runs`, which has no drops."""
        thresholds = asdict(self) | {"required_mutation_categories": list(self.required_mutation_categories) or None}
        return {name: value for name, value in thresholds.items() if value is not None and name not in _DROPS}

    @property
    def limits_drops(self) -> bool:
        """Return whether a number is compared with the base branch."""
        return any(getattr(self, name) is not None for name in _DROPS)


_DROPS = frozenset({options.MAX_PASS_RATE_DROP.name, options.MAX_RELIABILITY_SCORE_DROP.name})
REGISTERED = "registered scenarios"  # the campaign's own, which run if a gate names no trace


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """One trace to evaluate: an id that the backend knows, or a JSON text of a file to upload, or neither."""

    label: str
    trace_id: str = ""
    content: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """All settings of one gate.

    `stage` is the stage that applies today. `rules` are the policy's enforcement rules that it follows from.
    """

    name: str
    campaign: str
    project: str = ""
    traces: tuple[Trace, ...] = (Trace(label=REGISTERED),)
    mutation_pack: str = ""
    thresholds: Thresholds = Thresholds(
        min_pass_rate=options.MIN_PASS_RATE.default_value, max_unsafe=options.MAX_UNSAFE.default_value
    )
    stage: Stage = options.ENFORCEMENT.default_value
    on_undecided: OnUndecided = options.ON_UNDECIDED.default_value
    timeout_s: float = options.TIMEOUT.default_value
    reviewers: tuple[str, ...] = ()
    paths: Filter | None = None
    rules: tuple[StageRule, ...] = ()
