"""The comparison of a run's classified failures with those of the base's runs. Source: docs/configuration.md."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from urllib.parse import urlsplit

from sepurux_action.common import json_reader
from sepurux_action.common.urls import safe_url
from sepurux_action.evaluation.ci_run import ClassifiedFailure, merge_failures

Failures = tuple[ClassifiedFailure, ...]


def compare(
    now: Sequence[ClassifiedFailure], base: Iterable[Sequence[ClassifiedFailure]], *, uploaded: bool
) -> tuple[Failures, Failures]:
    """Return a run's failures compared with those of the base's results, and what is fixed. All lists are complete.

    Of n failures of a kind now and at most m in any of the results, max(0, n - m) are new. What any of them had and
    this run lacks is fixed. An `uploaded` trace has another id in each run, so its id is not compared.
    """
    most: dict[tuple[str, ...], ClassifiedFailure] = {}
    for listed in base:
        of_run = [_comparable(failure, uploaded=uploaded) for failure in listed]
        for failure in merge_failures(of_run, len(of_run))[0]:
            if failure.count > (most[failure.kind].count if failure.kind in most else 0):
                most[failure.kind] = failure
    left = {kind: failure.count for kind, failure in most.items()}
    marked, kinds = [], set()
    for failure in now:
        kind = _comparable(failure, uploaded=uploaded).kind
        known = min(failure.count, left.get(kind, 0))
        left[kind] = left.get(kind, 0) - known
        marked.append(replace(failure, new=failure.count - known))
        kinds.add(kind)
    fixed = [failure for kind, failure in most.items() if kind not in kinds]
    return tuple(marked), merge_failures(fixed, len(fixed))[0]


def _comparable(failure: ClassifiedFailure, *, uploaded: bool) -> ClassifiedFailure:
    return replace(failure, trace_id="") if uploaded else failure


def run_id_of(url: str) -> str:
    """Return the id at the end of a dashboard's path; '' if there is none."""
    return json_reader.identifier(urlsplit(url).path.rpartition("/")[2]) if safe_url(url) else ""


def comparable_ids(own_url: str, urls: Iterable[str]) -> tuple[str, ...]:
    """Return the ids in the URLs that equal a run's own dashboard URL except for the id, each once and in their order.

    The URLs are those of commit statuses, which anyone with write access can set.
    """
    own_id, own_page = run_id_of(own_url), _page(own_url)
    found = (run_id_of(url) for url in urls if own_id and run_id_of(url) and _page(url) == own_page)
    return tuple(dict.fromkeys(each for each in found if each != own_id))


def _page(url: str) -> tuple[object, ...]:
    """Return all of a URL but the id at the end of its path."""
    if not safe_url(url):
        return ()
    parts = urlsplit(url)
    prefix = parts.path.rpartition("/")[0]
    return parts.scheme, parts.hostname, parts.port, prefix, parts.query, parts.fragment
