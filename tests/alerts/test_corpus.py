"""Alert policies that others wrote: read into models, and back, without a change."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from google.cloud.monitoring_v3 import AlertPolicy as GooglePolicy
from google.protobuf import json_format

from obskit.alerts import AlertPolicy, CarriedCondition
from obskit.queries.context import RenderContext
from obskit.sync.canonical import canonical
from obskit.sync.kinds import POLICY

CONTEXT = RenderContext(project="p")
POLICIES = 47
# File → why its policy does not come back as it was; docs/fidelity.md names each.
EXCEPTIONS: dict[str, str] = {}


@pytest.fixture
def documents(shared_folder: Path) -> dict[str, dict[str, object]]:
    folder = shared_folder / "corpus" / "alerts"
    return {str(path.relative_to(folder)): json.loads(path.read_text()) for path in sorted(folder.rglob("*.json"))}


def proto(document):
    message = GooglePolicy.pb(GooglePolicy())
    return json_format.ParseDict(document, message)


def leaves(value):
    return [leaf for item in value.values() for leaf in leaves(item)] if isinstance(value, dict) else [value]


@pytest.mark.needs("shared")
def test_every_policy_comes_back_as_it_was(documents):
    """Each policy of the corpus renders to what Google's own type and sync's canonical form hold for the same."""
    same = []
    for name, document in documents.items():
        rendered = AlertPolicy.from_json(document).to_dict(CONTEXT)
        if proto(rendered) == proto(document) and canonical(rendered, POLICY) == canonical(document, POLICY):
            same.append(name)
    assert set(documents) - set(same) == set(EXCEPTIONS)
    assert len(same) + len(EXCEPTIONS) == POLICIES


@pytest.mark.needs("shared")
def test_the_models_know_every_field_of_the_corpus(documents):
    """No value has to be carried: each field of the corpus is one of the models'."""
    for name, document in documents.items():
        policy = AlertPolicy.from_json(document)
        assert not any(isinstance(condition, CarriedCondition) for condition in policy.conditions), name
        carried = [policy.carried, *(condition.carried for condition in policy.conditions)]
        assert [value for each in carried for value in leaves(each) if value is not None] == [], name


# Placeholders in texts and labels, and two queries that do not parse (`= 0`, a range that is missing).
FAULTY = {
    "google-gce/host-error-log-detected-within-vm.v1.json",
    "google-gke/jobs-failure-for-jobset.v1.json",
    "google-gke/memory-request-utilization-for-jobset.v1.json",
    "google-quotas/qa-scoped-limit-all-adjustments.v1.json",
    "google-workload-manager/sap-hana-availability-low.v1.json",
    "otel-genai/otel-genai-agent-model-error-rate.v1.json",
    "otel-genai/otel-genai-agent-tool-error-rate.v1.json",
    "otel-genai/otel-genai-workflow-error-rate.v1.json",
}


@pytest.mark.needs("shared")
def test_the_rules_refuse_only_what_is_wrong(documents):
    """Policies that Google publishes keep the rules, but for those with placeholders and faulty queries."""
    told = {name for name, document in documents.items() if AlertPolicy.from_json(document).problems(CONTEXT)}
    assert told == FAULTY
