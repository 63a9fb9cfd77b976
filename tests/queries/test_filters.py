"""Monitoring filters: what parses, what it matches, and what the error says."""

from __future__ import annotations

import json
import re

import pytest

from obskit.errors import QueryError
from obskit.queries.filters import parse, quote

METRIC = "run.googleapis.com/request_count"
METRIC_LABELS = {"response_code": "500", "response_code_class": "5xx", "k8s.io/pod": "a-1", "empty": ""}
RESOURCE_LABELS = {"project_id": "p", "service_name": "chat-api", "location": "europe-west1"}


def fits(text):
    return parse(text).matches(METRIC, METRIC_LABELS, "cloud_run_revision", RESOURCE_LABELS)


@pytest.mark.parametrize(
    "text",
    [
        'metric.type = "run.googleapis.com/request_count"',
        "metric.type='run.googleapis.com/request_count'",
        "metric.type=run.googleapis.com/request_count",
        'resource.type = "cloud_run_revision"',
        'metric.labels.response_code = "500"',
        'metric.label.response_code = "500"',
        'metric.label."response_code" = "500"',
        'metric.labels."k8s.io/pod" = "a-1"',
        "metric.labels.response_code = 500",
        "metric.labels.response_code > 499",
        "metric.labels.response_code >= 500",
        "metric.labels.response_code < 500.5",
        "metric.labels.response_code <= 500",
        'metric.labels.response_code != "200"',
        'resource.labels.service_name : "api"',
        'resource.labels.service_name = starts_with("chat")',
        'resource.label.service_name = ends_with("-api")',
        'resource.labels.service_name = has_substring("t-a")',
        'resource.labels.location = one_of("us-east1", "europe-west1")',
        'resource.labels.service_name = monitoring.regex.full_match("chat-.*")',
        'resource.labels.service_name != starts_with("shop")',
        'resource.labels.location != one_of("us-east1", "us-west1")',
        'resource.labels.service_name != monitoring.regex.full_match("chat")',
        'project = "p"',
        'metric.labels.missing = ""',
        'metric.labels.empty = ""',
        'metric.labels.missing != "x"',
        'NOT metric.labels.response_code = "200"',
        '-metric.labels.response_code = "200"',
        'NOT (metric.labels.response_code = "200" OR metric.labels.response_code = "404")',
        'metric.labels.response_code = "500" resource.labels.location = "europe-west1"',
        'metric.labels.response_code = "404" OR metric.labels.response_code = "500"',
        '(metric.labels.response_code = "404") OR (metric.labels.response_code_class = "5xx")',
        '\n metric.labels.response_code = "500"\n AND\n resource.labels.location = "europe-west1"\n',
    ],
)
def test_what_fits(text):
    """Each way of writing a comparison that holds matches the series."""
    assert fits(text)


@pytest.mark.parametrize(
    "text",
    [
        'metric.type = "run.googleapis.com/request"',
        'resource.type = "gce_instance"',
        'metric.labels.response_code = "200"',
        'metric.labels.missing = "500"',
        "metric.labels.response_code > 500",
        "metric.labels.response_code_class > 4",
        "metric.labels.missing < 1",
        'resource.labels.service_name = monitoring.regex.full_match("chat")',
        'resource.labels.service_name != monitoring.regex.full_match("chat-.*")',
        'resource.labels.service_name = starts_with("api")',
        'resource.labels.service_name != starts_with("chat")',
        'NOT metric.labels.response_code = "500"',
        'metric.labels.response_code = "500" AND resource.labels.location = "us-east1"',
        'metric.labels.response_code = "500" NOT resource.labels.location = "europe-west1"',
    ],
)
def test_what_does_not_fit(text):
    """A comparison that does not hold keeps the series out."""
    assert not fits(text)


def test_or_binds_tighter_than_and():
    """A AND B OR C is A AND (B OR C), as in Cloud Logging."""
    assert not fits('project = "other" AND project = "p" OR project = "p"')
    assert fits('(project = "other" AND project = "p") OR project = "p"')


def test_named_types():
    """The types that a filter names exactly are known, whichever function names them."""
    found = parse(
        'metric.type = one_of("a/b", "c/d") AND resource.type = "global" AND metric.labels.x = starts_with("e")'
    )
    assert found.metric_types() == ("a/b", "c/d")
    assert found.resource_types() == ("global",)
    assert [leaf.field for leaf in found.comparisons()] == ["metric.type", "resource.type", "metric.labels.x"]


def test_a_type_that_is_kept_out_is_not_named():
    """What a filter negates is none of the types that it asks for."""
    found = parse('NOT metric.type = "a/b" AND resource.type != one_of("x", "y")')
    assert (found.metric_types(), found.resource_types()) == ((), ())
    assert len(found.comparisons()) == 2


@pytest.mark.parametrize("text", ['a"b', "back\\slash", "two\nlines", "'single'", "ü", ""])
def test_quoted_texts_come_back(text):
    """A text that was quoted for a filter is compared as it was."""
    leaf = parse(f"metric.labels.x = {quote(text)}").comparisons()[0]
    assert leaf.values == (text,)


@pytest.mark.parametrize(
    ("text", "column", "says"),
    [
        ("", 1, "is empty"),
        ("   ", 4, "is empty"),
        ('metric.kind = "x"', 1, "not a field"),
        ('metric.type "x"', 13, "comparison"),
        ("metric.type =", 14, "value is needed"),
        ('metric.type = "x', 15, "not part of the filter language"),
        ('metric.type =~ "x"', 14, "not part of the filter language"),
        ('metric.type = "x" and resource.type = "y"', 19, "not a field"),
        ('(metric.type = "x"', 19, "not closed"),
        ('metric.type = "x")', 18, "nothing more is expected"),
        ('metric.type = "x" AND', 22, "field is needed"),
        ('metric.labels.code > "5"', 22, "numbers only"),
        ('metric.type = starts_with "x"', 27, "parenthesis is needed"),
        ('metric.type = one_of("x", "y"', 30, "not closed"),
        ('metric.type = monitoring.regex.full_match("(")', 43, "does not compile"),
        ('metric.type : "x" ${service}', 19, "not part of the filter language"),
    ],
)
def test_errors_name_the_column(text, column, says):
    """What cannot be read is refused with its column, counted from one, and a way out."""
    with pytest.raises(QueryError, match=says) as caught:
        parse(text)
    problem = caught.value.problems[0]
    assert re.match(rf"filter, column {column}\b", problem.place), problem.place
    assert problem.way_out


def test_functions_do_not_order():
    """A function is compared with = or !=, and with nothing else."""
    with pytest.raises(QueryError, match="numbers only"):
        parse('metric.labels.x > starts_with("a")')


@pytest.mark.parametrize("opening", ["(", "NOT ", "-"])
def test_deep_nesting_is_refused(opening):
    """Text from outside cannot exhaust the stack."""
    with pytest.raises(QueryError, match="parentheses or NOTs in one another"):
        parse(opening * 5_000 + 'project = "p"')


def filters_in(document, kind=""):
    """Yield each monitoring filter of a document; those of logs are another language."""
    if isinstance(document, dict):
        for key, value in document.items():
            if isinstance(value, str) and key in {"filter", "denominatorFilter"}:
                if kind not in {"logsPanel", "conditionMatchedLog"}:
                    yield value
            else:
                yield from filters_in(value, key)
    elif isinstance(document, list):
        for value in document:
            yield from filters_in(value, kind)


# A variable of a dashboard that stands for a whole comparison: it is one only once the viewer has chosen a value.
WHOLE_VARIABLE = re.compile(r"(?<![\"'\w])\$\{\w+\}(?![\"'\w])")


@pytest.mark.needs("shared")
def test_filters_of_other_peoples_definitions(shared_folder):
    """Every filter in real dashboards and policies parses, but for variables that stand for whole comparisons."""
    texts = {
        text
        for path in (shared_folder / "corpus").rglob("*.json")
        for text in filters_in(json.loads(path.read_text(encoding="utf-8")))
    }
    assert len(texts) > 300
    refused = set()
    for text in texts:
        try:
            assert parse(text).metric_types()
        except QueryError:
            refused.add(text)
    assert refused == {text for text in texts if WHOLE_VARIABLE.search(text)}
    assert all(parse(WHOLE_VARIABLE.sub("", text)).metric_types() for text in refused)
