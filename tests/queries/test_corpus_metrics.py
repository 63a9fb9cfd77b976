"""The index against the metrics that other people's dashboards and policies use."""

from __future__ import annotations

import json
import re
from datetime import timedelta

import pytest

from obskit.catalog import Route
from obskit.queries.aggregations import Aggregation
from obskit.queries.checks import promql_findings
from obskit.queries.filter_checks import check_filter, filter_findings
from obskit.queries.google_metrics import google_metrics
from obskit.queries.series import series_of_promql, series_of_type

INDEX = google_metrics()
METRIC_TYPE = re.compile(r'metric\.type\s*=\s*\\*"([a-z0-9.-]+/[A-Za-z0-9_./-]+)')
MAPPED = re.compile(r"\b([a-z0-9]+(?:_[a-z0-9]+)*_(?:com|io)):([A-Za-z0-9_]+)")
VARIABLE = re.compile(r"(?<![\"'\w])\$\{\w+\}(?![\"'\w])")


@pytest.fixture
def documents(shared_folder):
    return [path.read_text(encoding="utf-8") for path in sorted((shared_folder / "corpus").rglob("*.json"))]


def tables(value):
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from tables(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from tables(inner)


@pytest.mark.needs("shared")
def test_every_metric_of_the_indexed_services_is_known_or_reported(documents):
    """No metric of a service of the requirements passes unnoticed: it is in the index, or the check says it is not."""
    types = {name for text in documents for name in METRIC_TYPE.findall(text) if INDEX.service_of(name)}
    types = {name for name in types if not name.startswith("logging.googleapis.com/user/")}
    unknown = {name for name in types if series_of_type(name) is None}

    assert len(types - unknown) > 50
    for name in unknown:
        found = filter_findings(f'metric.type="{name}" AND resource.type="gce_instance"')
        assert any(name in each.problem for each in found), name
    services = {INDEX.service_of(name).prefix for name in unknown}
    assert services <= {"kubernetes.io", "compute.googleapis.com"}, "of other services the index has all they use"


@pytest.mark.needs("shared")
def test_every_name_in_promql_is_known_or_reported(documents):
    """The same for the names of PromQL."""
    prefixes = {prefix.replace(".", "_") for prefix in INDEX.services}
    found = {match.group() for text in documents for match in MAPPED.finditer(text) if match[1] in prefixes}
    unknown = {name for name in found if series_of_promql(name, Route.GCP) is None}

    assert len(found - unknown) > 15
    for name in unknown:
        assert any(name in each.problem for each in promql_findings(f"sum({name})", Route.GCP)), name


@pytest.mark.needs("shared")
def test_what_others_wrote_is_not_refused(documents):
    """Of all filters, aggregations and queries that work for others, the names, labels and aligners pass."""
    refused, seen = [], 0
    for text in documents:
        for table in tables(json.loads(text)):
            words = table.get("filter")
            if isinstance(words, str) and "metric.type" in words:
                problems, series = check_filter(VARIABLE.sub("", words), needs_resource=False)
                refused += problems
                refused += _aggregation_problems(table, series)
                seen += 1
            query = table.get("prometheusQuery") or table.get("conditionPrometheusQueryLanguage", {}).get("query")
            if isinstance(query, str):
                refused += [each.problem for each in promql_findings(query, Route.GCP) if not each.is_note]
                seen += 1

    assert seen > 700
    others = [each for each in refused if "the query does not parse" not in each and "on the export route" not in each]
    assert others == []


def _aggregation_problems(table, series):
    several = table.get("aggregations") or [table.get("aggregation")]
    if not several[0]:
        return []
    made = Aggregation(
        aligner=several[0].get("perSeriesAligner", "ALIGN_NONE").removeprefix("ALIGN_").lower(),
        reducer=several[0].get("crossSeriesReducer", "REDUCE_NONE").removeprefix("REDUCE_").lower(),
        by=several[0].get("groupByFields", []),
    )
    return list(made.rules(series, longest=timedelta(weeks=104)))
