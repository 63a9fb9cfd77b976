"""The HTTP services answer with the shapes that the UI and Google's clients read."""

from __future__ import annotations

import json
import urllib.request

import pytest

TRACE = "0af7651916cd43dd8448eb211c80319c"
PROMETHEUS = "/v1/projects/local-project/location/global/prometheus/api/v1"


# --------------------------------------------------------------------------- the UI's services


def test_info(http, backend):
    """The UI learns project, clock and addresses."""
    info = http.get("/api/info")
    assert info["project"] == "local-project"
    assert info["clock"] == {"scale": 1.0, "state": "real"}
    assert info["grpc"] == backend.grpc_address
    assert abs(info["now_ms"] - backend.clock.now_ms()) < 5000


def test_overview(http):
    """The overview has the service's figures and the counts of everything."""
    found = http.get("/api/overview", window_s=3600)
    (service,) = found["services"]
    assert (service["name"], service["requests"], service["error_ratio"]) == ("shop", 10, 0.0)
    assert service["p50_ms"] == pytest.approx(250.0)
    assert found["counts"]["traces"] == 1
    assert found["counts"]["spans"] == 2
    assert found["counts"]["log_entries"] == 2
    assert found["counts"]["errors"] == 1
    assert set(found["llm"]) == {"input_tokens", "output_tokens", "cost_usd", "unpriced_calls"}


def test_traces(http):
    """Traces are listed, searched and opened with their spans and logs."""
    (row,) = http.get("/api/traces")["traces"]
    assert row["trace_id"] == TRACE
    assert row["services"] == ["chatbot", "shop"]
    assert (row["spans"], row["errors"], row["root_name"]) == (2, 1, "POST /chat")
    assert http.get("/api/traces", service="nobody")["traces"] == []
    assert http.get("/api/traces", errors=1)["traces"] == [row]
    assert http.get("/api/traces", min_ms=10_000)["traces"] == []
    trace = http.get(f"/api/traces/{TRACE}")
    root, child = trace["spans"]
    assert child["parent_span_id"] == root["span_id"]
    assert child["status"] == {"code": "ERROR", "message": "no"}
    assert root["duration_ms"] == 250.0
    assert [entry["message"] for entry in trace["logs"]] == ["order failed"]
    assert http.call("GET", "/api/traces/unknown")[0] == 404


def test_logs(http):
    """Logs are found by text, severity, service and filter; a bad filter is a bad request with a reason."""
    assert len(http.get("/api/logs")["entries"]) == 2
    (entry,) = http.get("/api/logs", severity="ERROR")["entries"]
    assert entry["http"] == {"method": "GET", "url": "/items", "status": 500, "latency_ms": 250.0}
    assert entry["trace_id"] == TRACE
    assert entry["fields"]["user_id"] == "u1"
    assert len(http.get("/api/logs", q="HELLO")["entries"]) == 1
    assert len(http.get("/api/logs", filter='severity>=ERROR AND jsonPayload.user_id="u1"')["entries"]) == 1
    assert http.get("/api/logs", trace_id=TRACE)["entries"] == [entry]
    status, document, _ = http.call("GET", "/api/logs?filter=%28")
    assert status == 400
    assert "column" in document["error"]["message"]
    first = http.get("/api/logs", limit=1)
    assert http.get("/api/logs", limit=1, before=first["next"])["entries"][0]["id"] != first["entries"][0]["id"]


def test_errors(http):
    """An error in a log line is a group with its stack."""
    (group,) = http.get("/api/errors")["groups"]
    assert (group["type"], group["count"], group["service"]) == ("KeyError", 1, "shop")
    found = http.get(f"/api/errors/{group['id']}")
    assert found["group"] == group
    assert "Traceback" in found["events"][0]["stack"]
    assert http.call("GET", "/api/errors/unknown")[0] == 404


def test_stats(http):
    """The counts are exact."""
    stats = http.get("/api/stats")
    expected = {
        "spans": 2,
        "server_spans": 2,
        "traces": 1,
        "cross_service_traces": 1,
        "log_entries": 2,
        "access_entries": 1,
        "error_groups": 1,
        "error_events": 1,
        "incidents": [],
        "notifications": 0,
        "lost": 0,
    }
    assert {name: stats[name] for name in expected} == expected


@pytest.mark.parametrize("path", ["/api/traces?limit=x", "/api/overview?window_s=nan", "/api/incidents?state=ajar"])
def test_bad_parameters_are_bad_requests(http, path):
    """A parameter of another type is named."""
    assert http.call("GET", path)[0] == 400


def test_live_feed_tells_of_changes(http, backend):
    """A change of the store reaches a listening page."""
    with urllib.request.urlopen(http.url + "/api/live", timeout=10) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        assert stream.readline().startswith(b"retry")
        lines = iter(stream.readline, b"")
        next(line for line in lines if line.startswith(b"data: "))
        backend.store.changed("traces")
        line = next(line for line in lines if line.startswith(b"data: "))
    assert json.loads(line[6:])["kinds"] == ["traces"]


# --------------------------------------------------------------------------- charts


def window(backend, **more):
    now_ms = backend.clock.now_ms()
    return {"start_ms": now_ms - 600_000, "end_ms": now_ms, "step_ms": 60_000, **more}


LOAD = 'metric.type="prometheus.googleapis.com/load/gauge" resource.type="prometheus_target"'
DURATION = 'metric.type="prometheus.googleapis.com/http.server.request.duration/histogram"'


def test_filter_charts(http, backend):
    """A filter of the Dashboard JSON is aligned and reduced as it says."""
    aggregation = {"alignmentPeriod": "60s", "perSeriesAligner": "ALIGN_MAX"}
    body = window(backend, timeSeriesFilter={"filter": LOAD, "aggregation": aggregation})
    (series,) = http.post("/api/timeseries", body)["series"]
    assert max(value for _, value in series["points"]) == 3.0
    assert series["labels"]["job"] == "shop"
    assert "job=shop" in series["name"]
    percentile = {"alignmentPeriod": "600s", "perSeriesAligner": "ALIGN_PERCENTILE_50"}
    body = window(backend, timeSeriesFilter={"filter": DURATION, "aggregation": percentile})
    (series,) = http.post("/api/timeseries", body)["series"]
    assert series["points"][-1][1] == pytest.approx(0.25, abs=0.1)


def test_ratio_charts(http, backend):
    """Numerator and denominator are divided moment by moment."""
    side = {"filter": LOAD, "aggregation": {"alignmentPeriod": "600s", "perSeriesAligner": "ALIGN_MAX"}}
    body = window(backend, timeSeriesFilterRatio={"numerator": side, "denominator": side})
    (series,) = http.post("/api/timeseries", body)["series"]
    assert [value for _, value in series["points"]] == [1.0]


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"timeSeriesFilter": {"filter": "metric.type=="}},
        {"timeSeriesFilter": {"filter": LOAD, "aggregation": {"perSeriesAligner": "ALIGN_WRONG"}}},
        {"timeSeriesFilter": {"filter": DURATION}},
        {"timeSeriesFilter": {"filter": LOAD}, "step_ms": 0},
        {"timeSeriesFilter": {"filter": LOAD}, "start_ms": "yesterday"},
    ],
)
def test_charts_that_cannot_be_drawn_say_why(http, backend, query):
    """What cannot be evaluated is a bad request with a reason."""
    status, document, _ = http.call("POST", "/api/timeseries", window(backend) | query)
    assert status == 400
    assert document["error"]["message"]


# --------------------------------------------------------------------------- Prometheus


def test_instant_query(http, backend):
    """A vector, a scalar and a text have Prometheus' shapes."""
    at_s = backend.clock.now_ms() / 1000
    data = http.get(f"{PROMETHEUS}/query", query='load{job="shop"}', time=at_s)["data"]
    assert data["resultType"] == "vector"
    assert data["result"][0]["metric"]["job"] == "shop"
    assert data["result"][0]["value"][1] == "3"
    assert http.get(f"{PROMETHEUS}/query", query="1.5", time=at_s)["data"]["result"][1] == "1.5"
    assert http.get(f"{PROMETHEUS}/query", query='"text"')["data"]["resultType"] == "string"
    assert http.get(f"{PROMETHEUS}/query", query="1/0")["data"]["result"][1] == "+Inf"


def test_metric_that_nobody_writes_is_a_warning(http):
    """A misspelt metric gives an empty result, and a warning that names it; a known one gives none."""
    answer = http.get(f"{PROMETHEUS}/query", query="sum(laod) + sum(load)")
    assert answer["data"]["result"] == []
    assert answer["warnings"] == ['nothing has been written to the metric "laod"']
    assert "warnings" not in http.get(f"{PROMETHEUS}/query", query='load{job="nobody"}')


def test_range_query_by_form_and_by_url(http, backend):
    """GET and a posted form give the same matrix."""
    now_s = backend.clock.now_ms() // 1000
    asked = {"query": "sum(load)", "start": now_s - 120, "end": now_s, "step": "15s"}
    answer = http.get(f"{PROMETHEUS}/query_range", **asked)
    assert answer["status"] == "success"
    assert answer["data"]["resultType"] == "matrix"
    assert answer["data"]["result"][0]["values"]
    form = urllib.parse.urlencode(asked).encode()
    kind = {"content-type": "application/x-www-form-urlencoded"}
    assert http.call("POST", f"{PROMETHEUS}/query_range", form, kind)[1] == answer


def test_metadata(http):
    """Series, label names and label values are listed."""
    (series,) = http.get(f"{PROMETHEUS}/series", **{"match[]": 'load{job=~"sh.*", instance!="z"}'})["data"]
    assert series["__name__"] == "load"
    assert {"job", "instance", "__name__"} <= set(http.get(f"{PROMETHEUS}/labels")["data"])
    assert http.get(f"{PROMETHEUS}/label/job/values")["data"] == ["shop"]
    assert "load" in http.get(f"{PROMETHEUS}/label/__name__/values")["data"]


@pytest.mark.parametrize(
    "path",
    [
        "query?query=sum(",
        "query",
        "query?query=1&time=yesterday",
        "query_range?query=1&start=0&end=1&step=0",
        "query_range?query=1&start=5&end=1&step=1",
        "query_range?query=1&start=0&end=100000&step=1",
        "query_range?query=1&start=inf&end=1&step=1",
        "series",
        "series?match[]=sum(x)",
        "series?match[]={",
    ],
)
def test_bad_queries(http, path):
    """What cannot be answered is 400 with errorType and a reason, as from Prometheus."""
    status, document, _ = http.call("GET", f"{PROMETHEUS}/{path}")
    assert status == 400
    assert document["status"] == "error"
    assert document["errorType"] == "bad_data"
    assert document["error"]


# --------------------------------------------------------------------------- Google's REST


def test_dashboard_keeps_every_field(http):
    """A dashboard comes back as it was sent, with fields that no client library knows, and a new etag each time."""
    base = "/v1/projects/local-project/dashboards"
    sent = {"displayName": "D", "mosaicLayout": {"columns": 48, "tiles": []}, "futureField": {"deep": [1, {"x": None}]}}
    made = http.post(base, sent)
    assert {name: made[name] for name in sent} == sent
    path = f"{base}/{made['name'].rpartition('/')[2]}"
    assert http.get(path) == made
    assert made in http.get(base)["dashboards"]
    status, changed, _ = http.call("PATCH", path, {**made, "displayName": "E"})
    assert (status, changed["displayName"], changed["futureField"]) == (200, "E", sent["futureField"])
    assert changed["etag"] != made["etag"]
    status, refusal, _ = http.call("PATCH", path, {**made, "displayName": "F"})
    assert (status, refusal["error"]["status"]) == (409, "ABORTED")
    assert http.call("POST", base, {**sent, "etag": "x"})[0] == 400
    assert http.call("POST", base, {"mosaicLayout": {}})[0] == 400
    assert http.call("POST", base + "?validateOnly=true", {**sent, "displayName": "Dry"})[0] == 200
    assert len(http.get(base)["dashboards"]) == 1
    assert http.call("DELETE", path)[0] == 200
    assert http.call("GET", path)[0] == 404


def test_dashboards_are_paged(http):
    """Pages follow each other and end."""
    base = "/v1/projects/paged/dashboards"
    for number in range(3):
        http.post(base, {"displayName": str(number)})
    first = http.get(base, pageSize=2)
    second = http.get(base, pageSize=2, pageToken=first["nextPageToken"])
    assert [each["displayName"] for each in first["dashboards"] + second["dashboards"]] == ["0", "1", "2"]
    assert "nextPageToken" not in second


def test_channels_hide_their_secrets(http, backend):
    """A channel's password leaves the backend masked."""
    channel = {
        "name": "projects/local-project/notificationChannels/7",
        "type": "webhook_basicauth",
        "labels": {"url": "http://127.0.0.1:1/", "username": "me", "password": "hunter2"},
    }
    backend.store.objects.put(channel)
    for path in ("/v3/projects/local-project/notificationChannels", "/v3/" + channel["name"]):
        text = json.dumps(http.get(path))
        assert "hunter2" not in text
        assert "me" in text


def test_time_series_list(http, backend):
    """Series come in the API's JSON, newest point first, aggregated where asked."""
    path = "/v3/projects/local-project/timeSeries"
    interval = {"interval.startTime": "2020-01-01T00:00:00Z"}
    (series,) = http.get(path, filter=LOAD, **interval)["timeSeries"]
    assert series["metricKind"] == "GAUGE"
    assert [point["value"]["doubleValue"] for point in series["points"]] == [3.0, 2.0, 1.0, 0.0]
    (histogram,) = http.get(path, filter=DURATION, **interval)["timeSeries"]
    assert histogram["points"][0]["value"]["distributionValue"]["count"] == "10"
    aggregation = {"aggregation.alignmentPeriod": "600s", "aggregation.perSeriesAligner": "ALIGN_COUNT"}
    (counted,) = http.get(path, filter=LOAD, **interval, **aggregation)["timeSeries"]
    assert sum(int(point["value"]["int64Value"]) for point in counted["points"]) == 4
    assert "points" not in http.get(path, filter=LOAD, view="HEADERS", **interval)["timeSeries"][0]
    assert http.call("GET", f"{path}?filter=nonsense")[0] == 400
    assert http.call("GET", f"{path}?filter=metric.type%3D%22a%22&interval.endTime=x")[0] == 400


def test_entries_are_written_and_listed(http):
    """Entries that lack name and resource get the request's, and are found by the filter."""
    entries = http.post("/v2/entries:list", {"filter": "severity>=ERROR", "orderBy": "timestamp desc"})["entries"]
    assert [entry["jsonPayload"]["message"] for entry in entries] == ["order failed"]
    assert entries[0]["logName"] == "projects/local-project/logs/stdout"
    assert entries[0]["resource"]["labels"]["service_name"] == "shop"


@pytest.mark.parametrize(
    "body",
    [b"{", b"[]", b'{"entries": "x"}', b'{"entries": [1]}', b'{"entries": [{}]}', b'{"entries": [], "labels": 5}'],
)
def test_bad_entries_are_refused(http, body):
    """What is no list of entries, or lacks a log name, is a bad request."""
    assert http.call("POST", "/v2/entries:write", body)[0] == 400


# --------------------------------------------------------------------------- OTLP and pages


def test_otlp_answers_in_the_senders_type(http):
    """Protobuf is answered with protobuf, JSON with JSON, and nonsense with a status."""
    kind = {"content-type": "application/x-protobuf"}
    status, _, headers = http.call("POST", "/v1/traces", b"", kind)
    assert (status, headers["content-type"]) == (200, "application/x-protobuf")
    status, _, headers = http.call("POST", "/v1/traces", b"\xff\xff\xff", kind)
    assert (status, headers["content-type"]) == (400, "application/x-protobuf")
    assert http.post("/v1/logs", {}) == {}
    status, document, _ = http.call("POST", "/v1/metrics", b"no json")
    assert (status, document["code"]) == (400, 3)


@pytest.mark.parametrize("path", ["/", "/traces", "/traces/abc", "/incidents/0.abc", "/dashboards/x.y"])
def test_every_place_of_the_ui_is_its_page(http, path):
    """Reloading any place of the UI gives the page, never from a stale cache."""
    status, body, headers = http.call("GET", path)
    assert status == 200
    assert body.startswith(b"<!doctype html>")
    assert headers["cache-control"] == "no-cache"
    assert "default-src 'self'" in headers["content-security-policy"]


def test_static_files(http):
    """Scripts have their type and an ETag that spares the second transfer; nothing outside the folder is served."""
    status, _, headers = http.call("GET", "/static/app.js")
    assert status == 200
    assert headers["content-type"].startswith("text/javascript")
    assert http.call("GET", "/static/app.js", headers={"if-none-match": headers["etag"]})[0] == 304
    assert http.call("GET", "/static/%2e%2e/serve.py")[0] == 404
    assert http.call("GET", "/static/nothing.js")[0] == 404


@pytest.mark.parametrize("path", ["/api/nothing", "/v1/nothing", "/v3/projects/p/nothing", "/missing.js"])
def test_unknown_services_are_json_404(http, path):
    """An address that is neither a service nor a place of the UI says so."""
    status, document, _ = http.call("GET", path)
    assert (status, document["error"]["status"]) == (404, "NOT_FOUND")
    assert http.call("POST", "/api/nothing", {})[0] == 404
    assert http.call("POST", "/api/info", {})[0] in {404, 405}
