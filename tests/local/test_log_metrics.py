"""Log-based metrics count the entries that come in after they were made."""

from __future__ import annotations

import pytest

from obskit.engine.log_metrics import LogMetric, bounds_of
from obskit.engine.logs import extractor_of
from obskit.errors import QueryError
from obskit.local.clock import Clock
from obskit.local.evaluate import Evaluator
from obskit.local.ingest.entries import write_entries
from obskit.local.store import Store
from obskit.local.store.log_metrics import LogMetrics
from obskit.queries import filters

MINUTE = 60_000
HOUR = 3_600_000
RESOURCE = {"type": "cloud_run_revision", "labels": {"service_name": "shop", "location": "europe-west1"}}


def metric(name="denied", text='jsonPayload.event="denied"', **more):
    kind = {"metricKind": "DELTA", "valueType": "INT64", "unit": "1", **more.pop("metricDescriptor", {})}
    return {
        "name": f"projects/p/metrics/{name}",
        "filter": text,
        "metricDescriptor": {**kind, "type": f"logging.googleapis.com/user/{name}"},
        **more,
    }


class Scene:
    def __init__(self):
        self.now_ms = 10 * HOUR
        self.store = Store(Clock(read_ms=lambda: self.now_ms), project="p")

    def write(self, *payloads, at_ms=None):
        moment = (self.now_ms if at_ms is None else at_ms) // 1000
        stamp = (
            f"1970-01-{1 + moment // 86_400:02d}T{moment // 3600 % 24:02d}:{moment // 60 % 60:02d}:{moment % 60:02d}Z"
        )
        entries = [
            {"logName": "projects/p/logs/app", "resource": RESOURCE, "timestamp": stamp, "jsonPayload": payload}
            for payload in payloads
        ]
        write_entries(self.store, entries)

    def series(self, name="denied"):
        wanted = filters.parse(
            f'metric.type="logging.googleapis.com/user/{name}" AND resource.type="cloud_run_revision"'
        )
        return self.store.metrics.list_series(wanted, 0, 100 * HOUR)


@pytest.fixture
def scene():
    made = Scene()
    yield made
    made.store.close()


DENIED = {"event": "denied", "user": "ann", "size": 3}


def test_entries_are_counted_from_the_metric_on(scene):
    """What came before is not counted; what comes after is, a point a minute, with the entry's resource."""
    scene.write(DENIED)
    scene.store.objects.put(metric())
    scene.write(DENIED, DENIED, {"event": "granted"})
    scene.now_ms += MINUTE
    scene.write(DENIED)
    (found,) = scene.series()
    assert [(point.start_ms, point.end_ms, point.value) for point in found.points] == [
        (10 * HOUR, 10 * HOUR + MINUTE, 2.0),
        (10 * HOUR + MINUTE, 10 * HOUR + 2 * MINUTE, 1.0),
    ]
    assert (found.kind, found.value_type, found.resource_type) == ("DELTA", "INT64", "cloud_run_revision")
    assert found.resource_labels == {"service_name": "shop", "location": "europe-west1", "project_id": "p"}
    assert scene.store.metrics.names() == ["logging_googleapis_com:user_denied"]


def test_labels_are_extracted(scene):
    """By field or regular expression, of the label's type; what cannot be is the type's default."""
    labels = [{"key": "user"}, {"key": "code", "valueType": "INT64"}, {"key": "paid", "valueType": "BOOL"}]
    extractors = {
        "user": "EXTRACT(jsonPayload.user)",
        "code": 'REGEXP_EXTRACT(jsonPayload.text, "code=(\\\\d+)")',
        "paid": "EXTRACT(jsonPayload.paid)",
    }
    scene.store.objects.put(metric(metricDescriptor={"labels": labels}, labelExtractors=extractors))
    scene.write({**DENIED, "text": "code=17", "paid": True}, {**DENIED, "paid": "maybe"}, DENIED)
    found = {tuple(sorted(each.metric_labels.items())): each.points[0].value for each in scene.series()}
    assert found == {
        (("code", "17"), ("paid", "true"), ("user", "ann")): 1.0,
        (("code", "0"), ("paid", "false"), ("user", "ann")): 2.0,
    }


def test_values_make_distributions(scene):
    """Values fall into the buckets; an entry without a number records nothing."""
    scene.store.objects.put(
        metric(
            metricDescriptor={"valueType": "DISTRIBUTION"},
            valueExtractor="EXTRACT(jsonPayload.size)",
            bucketOptions={"explicitBuckets": {"bounds": [1, 5]}},
        )
    )
    scene.write(DENIED, {**DENIED, "size": 0.5}, {**DENIED, "size": "9"}, {**DENIED, "size": "much"})
    (found,) = scene.series()
    (point,) = found.points
    assert (point.value.count, point.value.bucket_counts) == (3, (1, 1, 1))
    assert point.value.mean == pytest.approx(12.5 / 3)


@pytest.mark.parametrize(
    ("options", "bounds"),
    [
        ({"linearBuckets": {"numFiniteBuckets": 2, "width": 5, "offset": 1}}, (1.0, 6.0, 11.0)),
        ({"exponentialBuckets": {"numFiniteBuckets": 2, "growthFactor": 2, "scale": 1}}, (1.0, 2.0, 4.0)),
        ({"explicitBuckets": {"bounds": [1, 2]}}, (1.0, 2.0)),
    ],
    ids=["linear", "exponential", "explicit"],
)
def test_buckets(options, bounds):
    """All three ways to give them."""
    assert bounds_of(options) == bounds


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"linearBuckets": {"numFiniteBuckets": 1_000_000_000, "width": 1}}, "1000000000 finite buckets"),
        ({"linearBuckets": {"numFiniteBuckets": 3}}, "do not rise"),
        ({"exponentialBuckets": {"numFiniteBuckets": 64, "growthFactor": 1e30, "scale": 1}}, "too large"),
        ({"explicitBuckets": {"bounds": [3, 1]}}, "do not rise"),
        ({"explicitBuckets": {}}, "0 finite buckets"),
    ],
    ids=["many", "flat", "large", "falling", "none"],
)
def test_buckets_that_are_none_are_told(scene, http, backend, options, told):
    """The API refuses them; a stored metric that has them counts nothing, and the others go on."""
    wrong = metric("wrong", metricDescriptor={"valueType": "DISTRIBUTION"}, bucketOptions=options)
    wrong["valueExtractor"] = "EXTRACT(jsonPayload.size)"
    scene.store.objects.put(wrong)
    scene.store.objects.put(metric())
    scene.write(DENIED)
    states = {each["name"].rpartition("/")[2]: each for each in scene.store.log_metrics.states()}
    assert (states["wrong"]["state"], states["denied"]["entries"]) == ("error", 1)
    assert told in states["wrong"]["error"]
    given = {**wrong, "name": "wrong", "metricDescriptor": {"metricKind": "DELTA", "valueType": "DISTRIBUTION"}}
    status, document, _ = http.call("POST", f"/v2/projects/{backend.project}/metrics", given)
    assert status == 400
    assert told in document["error"]["message"]


@pytest.mark.parametrize(
    "pattern",
    [r'"id=([[:digit:]]+)"', r"'id=(\\d+)'", r'"[\"]?id=(\d+)"'],
    ids=["class", "apostrophes", "quote"],
)
def test_extractors_have_the_syntax_of_definitions(pattern):
    """Patterns are RE2's, in either kind of quotes."""
    extract = extractor_of("the value", f"REGEXP_EXTRACT(textPayload, {pattern})", "here")
    assert extract({"textPayload": "user id=17."}) == "17"


def test_an_extractor_that_may_take_for_ever_counts_nothing(scene):
    """The metric is told as one that is not matched here."""
    scene.store.objects.put(metric(labelExtractors={"user": 'REGEXP_EXTRACT(jsonPayload.user, "((a+)+)b")'}))
    scene.write(DENIED)
    (state,) = scene.store.log_metrics.states()
    assert (state["state"], state["entries"]) == ("unsupported", 0)
    assert 'label "user": the regular expression may take for ever' in state["error"]


def test_labels_of_many_values_do_not_fill_the_memory(scene):
    """A metric has so many series at most; those that it has are counted on, and its state tells."""
    labels = {
        "metricDescriptor": {"labels": [{"key": "user"}]},
        "labelExtractors": {"user": "EXTRACT(jsonPayload.user)"},
    }
    scene.store.objects.put(metric(**labels))
    counting = LogMetrics(scene.store.objects, scene.store.metrics, scene.store.clock, most_series=2)
    scene.store.log_metrics = counting
    scene.write(*({**DENIED, "user": user} for user in ("ann", "bob", "cid", "ann")))
    assert {each.metric_labels["user"]: each.points[0].value for each in scene.series()} == {"ann": 2.0, "bob": 1.0}
    (state,) = counting.states()
    assert (state["state"], state["entries"]) == ("limited", 3)
    assert state["error"].startswith("it has 2 series")


def test_a_number_that_no_float_holds_is_still_an_entry(scene):
    """It is equal to no number, and the next entry is counted."""
    scene.store.objects.put(metric(text="jsonPayload.size=3"))
    scene.write({**DENIED, "size": 10**400}, DENIED)
    assert sum(point.value for point in scene.series()[0].points) == 1.0


def test_entries_of_another_time_are_not_counted(scene):
    """More than a day old or ten minutes ahead, as at Google."""
    scene.now_ms = 48 * HOUR
    scene.store.objects.put(metric())
    scene.write(DENIED, at_ms=23 * HOUR)
    scene.write(DENIED, at_ms=48 * HOUR + 11 * MINUTE)
    scene.write(DENIED, at_ms=25 * HOUR)
    (found,) = scene.series()
    assert sum(point.value for point in found.points) == 1.0


def test_metrics_that_are_off_changed_or_gone(scene):
    """A disabled metric counts nothing; a changed filter holds from then on; one that does not parse is told."""
    scene.store.objects.put(metric(disabled=True))
    scene.write(DENIED)
    assert scene.series() == []
    scene.store.objects.put(metric(text='jsonPayload.event="granted"'))
    scene.write(DENIED, {"event": "granted"})
    assert sum(point.value for point in scene.series()[0].points) == 1.0
    scene.store.objects.put(metric(text="severity>="))
    (state,) = scene.store.log_metrics.states()
    assert state["state"] == "error"
    assert "value is needed" in state["error"]
    scene.store.objects.delete("projects/p/metrics/denied")
    assert scene.store.log_metrics.states() == []


def test_a_policy_on_a_log_based_metric_fires(scene):
    """Counted entries are series as all others are."""

    class Told:
        states: list[str] = []

        def notify(self, incident, policy, *, state):
            self.states.append(state)
            return 1

    condition = {
        "filter": 'metric.type="logging.googleapis.com/user/denied" AND resource.type="cloud_run_revision"',
        "aggregations": [{"alignmentPeriod": "60s", "perSeriesAligner": "ALIGN_DELTA"}],
        "comparison": "COMPARISON_GT",
        "thresholdValue": 1,
        "duration": "0s",
    }
    scene.store.objects.put(metric())
    scene.store.objects.put(
        {
            "name": "projects/p/alertPolicies/1",
            "combiner": "OR",
            "conditions": [{"displayName": "many", "conditionThreshold": condition}],
        }
    )
    evaluator = Evaluator(store=scene.store, clock=scene.store.clock, notifier=Told(), settle_s=0.0)
    evaluator.run_until(scene.now_ms)
    scene.write(DENIED, DENIED)
    evaluator.run_until(scene.now_ms + MINUTE)
    assert Told.states == ["open"]
    (row,) = scene.store.incidents.list()
    assert row["labels"]["service_name"] == "shop"


def test_an_extractor_that_is_none_is_told():
    """With the metric and the label."""
    with pytest.raises(QueryError, match=r'log-based metric "denied".*label "user"'):
        LogMetric.of(metric(labelExtractors={"user": "jsonPayload.user"}))


def test_over_http(http, backend):
    """A metric of the API counts what is written through the API, and is described before it does."""
    project = f"projects/{backend.project}"
    body = {"name": "shop/denied", "filter": 'jsonPayload.event="denied"'}
    http.post(f"/v2/{project}/metrics", body)
    described = http.get(f"/v3/{project}/metricDescriptors/logging.googleapis.com/user/shop/denied")
    assert (described["metricKind"], described["valueType"]) == ("DELTA", "INT64")
    entry = {"logName": f"{project}/logs/app", "resource": RESOURCE, "jsonPayload": DENIED}
    http.post("/v2/entries:write", {"entries": [entry]})
    text = 'metric.type="logging.googleapis.com/user/shop/denied" AND resource.type="cloud_run_revision"'
    begin, end = ("1970-01-01T00:00:00Z", "2100-01-01T00:00:00Z")
    window = {"interval.startTime": begin, "interval.endTime": end}
    (found,) = http.get(f"/v3/{project}/timeSeries", filter=text, **window)["timeSeries"]
    assert found["points"][0]["value"] == {"int64Value": "1"}
    (state,) = http.get("/api/log_metrics")["log_metrics"]
    assert (state["state"], state["entries"]) == ("ok", 1)
    status, document, _ = http.call("POST", f"/v2/{project}/metrics", {"name": "x", "filter": "severity>="})
    assert status == 400
    assert "metric.filter" in document["error"]["message"]
    assert http.call("DELETE", f"/v2/{project}/metrics/shop%2Fdenied")[0] == 200
    assert http.get(f"/v3/{project}/timeSeries", filter=text, **window)["timeSeries"] == []


def test_metrics_are_described_after_a_restart(tmp_path):
    """Before their first entry, so that a policy on one can be checked."""
    first = Store(path=tmp_path)
    first.objects.put(metric())
    first.close()
    again = Store(path=tmp_path)
    assert again.metrics.descriptors["logging.googleapis.com/user/denied"].kind == "DELTA"
    again.close()
