"""The result of a gate at a commit: in the description of its status, and by scenario in `baseline.json`.

Source: docs/policy.md#block-only-what-gets-worse
"""

import hashlib
import hmac
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sepurux_action.common import json_reader, wording
from sepurux_action.config.options import Stage
from sepurux_action.config.settings import Call, Gate
from sepurux_action.errors import DEFECTS
from sepurux_action.evaluation.metrics import LISTED, PUBLISHED, SCENARIOS, Metric, Numbers, Unit
from sepurux_action.evaluation.runs import BaseScenario, Decision
from sepurux_action.evaluation.traces import MAX_STEPS, shown_name

MAX_STATUS_LENGTH = 140  # characters; GitHub responds 422 to more
MIN_DIGITS = 2  # after the point of a published number that is not whole
MAX_BASE_RESULTS = 5  # results that are compared; one of them that is unusual changes no median
FILE = "baseline.json"
VERSION = 4  # another one if a field of a result has another meaning
PURPOSE = "sepurux-gate/baseline"
MAX_BYTES = 4 * 1024 * 1024
FRAME = 200  # bytes of the file that are no result
IGNORED = (
    f"`{FILE}` was ignored: this version of the action did not write it with this secret for this repository, or it was"
    " changed later. The next result that is written replaces it."
)
_DESCRIPTION = re.compile(
    r"(?P<decision>pass|fail|error|pending|skipped) \((?P<stage>observe|soft|hard)\): (?P<numbers>[^;]+)"
    r"(?:; .*?)??(?:; (?P<scenarios>\d{1,16}) scenarios?)?",
    re.ASCII | re.DOTALL,
)
_NUMBER = re.compile(r"-|[0-9.]+")  # in a description


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A gate's result at a commit, as a status or `baseline.json` has it.

    `stage` is None in `baseline.json`. `url` is the status's `target_url`, '' if it may not be linked or is not known.
    Only `baseline.json` has the others. Results of one `origin` (gate, campaign, project, pack, branch) are compared.
    """

    decision: Decision
    stage: Stage | None = None
    numbers: Mapping[str, float]
    commit: str = ""
    url: str = ""
    origin: tuple[str, ...] = ()
    scenarios: tuple[BaseScenario, ...] = ()

    def value(self, metric: Metric) -> float | None:
        return self.numbers.get(metric.name)


Results = tuple[Result, ...]  # of one gate on the base branch, each a pass or a fail, the newest first


# -- in the description of a status -----------------------------------------------------------------------------------


def published_numbers(numbers: Numbers, gate: Gate) -> Mapping[str, float]:
    """Return the numbers as a status has them.

    Each has as many digits as it takes to lie on its side of the limit, 0, and 100.
    """
    published = {}
    for metric in PUBLISHED:
        reading, limit = metric.reading(numbers), gate.limits.get(metric.threshold)
        if reading.value is None:
            continue
        published[metric.name] = reading.value
        if metric.unit is not Unit.INTEGER:
            scale = 100 if metric.unit is Unit.FRACTION else 1
            exact, other = (Decimal(wording.decimal(each)) * scale for each in (reading.value, limit or 0))
            others = (other, Decimal(0), Decimal(100))
            rounded = (round(exact, digits) for digits in range(MIN_DIGITS, wording.MAX_DIGITS))
            alike = (each for each in rounded if all(each.compare(other) == exact.compare(other) for other in others))
            published[metric.name] = float(next(alike, exact) / scale)
    return published


def format_description(result: Result, note: str = "") -> str:
    """Return the description of a decided status, as much of `note` as fits, and the scenarios if they fit."""
    shown = "-"
    if any(result.value(metric) is not None for metric in LISTED):
        shown = ", ".join(metric.publish(result.value(metric)) for metric in LISTED)
    text = f"{result.decision} ({result.stage}): {shown}"
    if printable := json_reader.printable(note):
        text += f"; {printable}"
    scenarios = result.value(SCENARIOS)
    if scenarios is not None:
        end = f"; {SCENARIOS.publish(scenarios)}"
        if len(text) + len(end) <= MAX_STATUS_LENGTH:
            return text + end
    return json_reader.shorten(text, MAX_STATUS_LENGTH)


def parse_description(text: object) -> Result | None:
    """Return the result in a description, None for any other text. An older one may lack the last numbers."""
    if not isinstance(text, str) or (match := _DESCRIPTION.fullmatch(text)) is None:
        return None
    numbers, parts = dict[str, float](), match["numbers"].split(", ") if match["numbers"] != "-" else []
    if len(parts) > len(LISTED):
        return None
    for metric, part in zip(LISTED, parts, strict=False):
        number, value = "".join(_NUMBER.findall(part)), None
        try:
            if number != "-":
                value = round(float(number) / (100 if metric.unit is Unit.FRACTION else 1), wording.MAX_DIGITS + 2)
        except ValueError:
            return None
        if metric.publish(value) != part or metric.read_value(value).broken:
            return None
        if value is not None:
            numbers[metric.name] = value
    if match["scenarios"]:
        numbers[SCENARIOS.name] = float(match["scenarios"])
    return Result(decision=Decision(match["decision"]), stage=Stage(match["stage"]), numbers=numbers)


def comparable(results: Iterable[Result], gate: Gate) -> Results:
    """Return the newest results that a gate is compared with: those that meet its thresholds, apart from drops.

    A result that only a drop made fail counts: without it, the median would only rise. One below a minimum does not: it
    would let later results be as low. A threshold on a number that a status does not have rejects nothing.
    """
    limited = [(metric, gate.limits[metric.threshold]) for metric in PUBLISHED if metric.threshold in gate.limits]
    met = []
    for each in results:
        values = [(metric, each.value(metric), limit) for metric, limit in limited]
        if each.numbers and all(value is None or metric.meets(value, limit) for metric, value, limit in values):
            met.append(each)
    return tuple(met[:MAX_BASE_RESULTS])


def values_of(results: Results, metric: Metric) -> tuple[float, ...]:
    return tuple(value for each in results if (value := each.value(metric)) is not None)


def median(results: Results, metric: Metric) -> float | None:
    """Return the median of one number; of an even count, the worse of the two in the middle. None without numbers."""
    values = sorted(values_of(results, metric))
    if not values:
        return None
    return values[len(values) // 2 if metric.less_is_better else (len(values) - 1) // 2]


# -- in `baseline.json` -----------------------------------------------------------------------------------------------


def write_results(results: Iterable[Result], key: str, repository: str, redact: Callable[[str], str] = str) -> str:
    """Return the file, in ASCII, with the first results of each origin, which are the newest, as far as they fit."""
    written, size, of_origin = list[str](), FRAME, Counter[tuple[str, ...]]()
    for result in results:
        of_origin[result.origin] += 1
        if of_origin[result.origin] > MAX_BASE_RESULTS:
            continue
        text = redact(json.dumps(_as_json(result), separators=(",", ":")))
        size += len(text) + 2  # with a comma and a line break
        if size > MAX_BYTES:
            break
        written.append(text)
    return _signed('"results":[\n' + ",\n".join(written) + "\n]}\n", key, repository)


def read_results(content: bytes | None, key: str, repository: str) -> tuple[Results, str]:
    """Return the results, the newest first, and a note if there is a file that `write_results` did not write so."""
    if content is None:
        return (), ""
    _, start, results = content.decode(errors="replace").partition('"results":')
    with suppress(*DEFECTS):
        if key and hmac.compare_digest(content, _signed(start + results, key, repository).encode()):
            found: Any = json_reader.parse(content.decode(), constant=json_reader.reject_constant)
            return tuple(map(_of_json, found["results"])), ""
    return (), IGNORED


def _signed(results: str, key: str, repository: str) -> str:
    """Return the file with its signature, an HMAC-SHA-256. No other purpose or version has the same."""
    content = json.dumps([PURPOSE, VERSION, repository.lower(), results]).encode()
    signature = hmac.new(key.encode(), content, hashlib.sha256).hexdigest()
    return f'{{"schema":"{PURPOSE}@{VERSION}","signature":"{signature}",{results}'


def _as_json(result: Result) -> Mapping[str, object]:
    scenarios = list[Mapping[str, object]]()
    for each in result.scenarios:
        failures = None if each.failures is None else [[*kind, count] for kind, count in each.failures.items()]
        steps = [[call.tool, *call.arguments] for call in each.steps]
        scenarios.append({"name": each.name, "pass_rate": each.pass_rate, "failures": failures, "steps": steps})
    kept = {name: getattr(result, name) for name in ("commit", "decision", "numbers")}
    return {"origin": [*result.origin], **kept, "scenarios": scenarios}


def _of_json(given: dict[str, Any]) -> Result:
    """Return a result that `_as_json` has written, as the signature says; raises one of DEFECTS for other fields."""
    scenarios = list[BaseScenario]()
    for each in given["scenarios"]:
        counts, calls = each["failures"], ([*map(shown_name, call)] for call in each["steps"][:MAX_STEPS])
        failures = None if counts is None else {tuple(kind): count for *kind, count in counts}
        steps = tuple(Call(tool, tuple(arguments)) for tool, *arguments in calls)
        scenarios.append(BaseScenario(**{**each, "failures": failures, "steps": steps}))
    origin, decision = tuple(given["origin"]), Decision(given["decision"])
    return Result(**{**given, "origin": origin, "decision": decision, "scenarios": tuple(scenarios)})
