"""Finds a campaign's id by its name in a project's campaign list."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sepurux_action.common import json_reader
from sepurux_action.errors import EvaluationError
from sepurux_action.evaluation.api import UNUSABLE_RESPONSE

MAX_NAMES_LISTED = 20  # campaigns that an error text lists


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaigns:
    """A project's campaigns: the ids for each name that a gate uses, and some of all names, for an error text."""

    ids: Mapping[str, Sequence[str]]
    names: Sequence[str]

    def find(self, campaign: str, *, project: str) -> str:
        """Return the id of the campaign of that name; raises EvaluationError, which lists the existing names."""
        ids = self.ids.get(campaign, ())
        if len(ids) == 1:
            return ids[0]
        where = f' in project "{project}"' if project else ""
        if ids:
            hint = f"Set `campaign` to the UUID of one of them: {', '.join(ids)}."
            raise EvaluationError(f'{len(ids)} campaigns are named "{campaign}"{where}', hint)
        listed = ", ".join(self.names[:MAX_NAMES_LISTED]) + (", …" if len(self.names) > MAX_NAMES_LISTED else "")
        hint = f"Set `campaign` to one of these, or `project` to another project: {listed}."
        if not listed:
            hint = "Check `project` and the secret, which see no campaign, or create the campaign at Sepurux."
        raise EvaluationError(f'campaign "{campaign}" was not found{where}', hint)


def parse_campaigns(payload: object, wanted: Collection[str]) -> Campaigns:
    """Return the campaigns of a list that have a wanted name; raises EvaluationError if it is no list."""
    if not isinstance(payload, list):
        raise EvaluationError("Sepurux sent no list as the list of campaigns", UNUSABLE_RESPONSE)
    ids: dict[str, set[str]] = {}
    names = set()
    for entry in map(json_reader.as_object, payload):
        name, campaign_id = entry.get("name"), json_reader.identifier(entry.get("campaign_id"))
        if isinstance(name, str) and name in wanted and campaign_id:
            ids.setdefault(name, set()).add(campaign_id)
        names.add(json_reader.text(name))
    listed = heapq.nsmallest(MAX_NAMES_LISTED + 1, names - {""})
    return Campaigns(ids={name: sorted(each) for name, each in ids.items()}, names=listed)
