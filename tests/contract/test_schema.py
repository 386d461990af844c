"""The schema that editors check a policy file with says what the action says."""

import re

import pytest
import yaml
from jsonschema import Draft7Validator

from scripts import schema
from sepurux_action.config import options, policy
from sepurux_action.errors import ConfigurationError

# Every accepted way of writing a value, key by key; `||` parts files.
SOUND = """
{version: 1, project: my-agent, mutation_pack: 17, trace_file: traces/*.json, enforcement: soft, on_outage: allow}
project_id: my-agent || campaign: 5a0e7b52-64cf-4f0e-9d2b-0c6f1f7f8a11 || campaign_id: refunds
campaign_name: refunds || trace_id: t-1, t-2 || trace_id: [t-1, t-2] || thresholds: {min_pass_rate: 0.85}
thresholds: {min_pass_rate: 85.5%} || thresholds: {max_unsafe: 0, max_failures: 3, min_mutation_categories: 2}
thresholds: {min_scenarios: 1, min_scenario_pass_rate: 60%, min_reliability_score: 0}
thresholds: {min_reliability: 80.5}
thresholds: {required_mutation_categories: [timeouts], max_pass_rate_drop: 0.05}
thresholds: {max_pass_rate_drop: 5%}
{flaky: {refund: 2027-01-31}, reviewers: [octocat, '@octodog'], comment: on_failure} || timeout: 600
timeout: 1h30m || timeout: 10m
gates: [{campaign: refunds, name: Refunds, paths: [src/**, '!**.md'], thresholds: {max_unsafe: 1}}]
gates: [{campaign: refunds, enforcement: hard, on_outage: block, timeout: 30s, reviewers: octocat}]
"""
# One problem of each kind that a schema can know.
BROKEN = """
version: 2 || campain: refunds || token: made-up-token || base_url: https://sepurux.example || name: Refunds
max_unsafe: 0 || campaign: [a, b] || campaign: ${{ vars.CAMPAIGN }} || gates: [{name: "${{ matrix.agent }}"}]
thresholds: {min_pass_rate: 85} || thresholds: {min_pass_rate: 101%} || thresholds: {max_unsafe: -1}
thresholds: {max_unsafe: 0.5} || thresholds: {min_scenarios: 0} || thresholds: {min_scenario_pass_rate: 60}
thresholds: {min_reliability_score: 0.8} || thresholds: {max_pass_rate_drop: 5} || thresholds: {timeout: 10}
enforcement: strict || enforcement: {stage: soft} || on_outage: maybe || flaky: {refund: soon} || flaky: [refund]
reviewers: [] || timeout: 10 weeks || timeout: 86401 || timeout: 0 || poll_interval: 30 || comment: sometimes
status: 3 || gates: [] || gates: [refunds] || gates: {name: Refunds} || gates: [{name: Refunds (new)}]
gates: [{comment: never}] || gates: [{report_dir: build/sepurux}] || baseline_dir: .sepurux-baseline
report_dir: build/sepurux || gates: [{paths: [[src/**]]}]
"""
NO_NUMBERS = [f"thresholds: {{{option.name}: many}}" for option in options.LIMITS]


def rows(table: str) -> list[str]:
    return re.split(r" \|\| |\n", table.strip())


class EditorLoader(yaml.SafeLoader):
    """Reads as editors do, by YAML 1.2: a day is a text."""


EditorLoader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def editor_accepts(text: str) -> bool:
    loader = EditorLoader(text)
    return bool(Draft7Validator(schema.schema()).is_valid(loader.get_single_data()))


def action_accepts(text: str) -> bool:
    try:
        policy.read_policy(text.encode(), "policy.yml")
    except ConfigurationError:
        return False
    return True


@pytest.mark.parametrize("text", rows(SOUND))
def test_editor_and_action_accept_a_valid_policy(text: str) -> None:
    assert (editor_accepts(text), action_accepts(text)) == (True, True)


@pytest.mark.parametrize("text", [*rows(BROKEN), *NO_NUMBERS])
def test_editor_and_action_reject_an_invalid_policy(text: str) -> None:
    assert (editor_accepts(text), action_accepts(text)) == (False, False)
