"""What strangers send decides nothing: neither what is sampled, nor what is forwarded, nor how many series there are."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import quote

import peers
import pytest
from collector import Collector
from sinks import SERVER, attributes, new_trace
from wire import Service, environment, gunicorn, uvicorn

from obskit import catalog

SERVERS = {
    "fast": uvicorn("trusting:fast"),
    "wsgi": gunicorn("trusting:wsgi", "gthread", "--threads", "4"),
}
Figure = Callable[[str], None]
peers.opentelemetry(30, "flags")
peers.opentelemetry(31, "baggage")
peers.opentelemetry(32, "hosts")
DURATION = catalog.HTTP_SERVER_DURATION.name
CALLS = catalog.HTTP_CLIENT_DURATION.name


@pytest.fixture(params=list(SERVERS))
def app(request: pytest.FixtureRequest) -> str:
    return request.param


@contextmanager
def serving(app: str, collector: Collector, **settings: str) -> Iterator[Service]:
    env = environment(
        TRUSTING_APP=app,
        OBSKIT_EXPORTERS="otlp",
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
        **settings,
    )
    with Service(SERVERS[app], env) as service:
        yield service


def flagged(flags: str) -> tuple[str, dict[str, str]]:
    """Return a trace id, and a caller's headers with these trace flags."""
    trace_id, headers = new_trace()
    return trace_id, {"traceparent": headers["traceparent"][:-2] + flags}


def kept(collector: Collector) -> set[str]:
    """Return the ids of the traces whose server span has arrived."""
    return {span.trace_id.hex() for span in collector.spans if span.kind == SERVER}


# --------------------------------------------------------------------------- 30


@pytest.mark.fault(30, "a stranger's sampled flag neither buys nor forbids a trace; errors are always kept")
@pytest.mark.parametrize(("ratio", "wanted"), [("0", 0), ("1", 20)])
def test_flags_of_strangers(app: str, ratio: str, wanted: int, figure: Figure) -> None:
    """With flags 00 and 01 alike the service's own ratio decides, failed requests are kept, and all are counted."""
    with Collector() as collector:
        with serving(app, collector, OBSKIT_SAMPLE_RATIO=ratio) as service:
            asked: dict[str, list[str]] = {"00": [], "01": []}
            failed = []
            for flags, ids in asked.items():
                for number in range(20):
                    trace_id, headers = flagged(flags)
                    assert service.request(f"/items/{number}", headers=headers)[0] == 200
                    ids.append(trace_id)
                for _ in range(5):
                    trace_id, headers = flagged(flags)
                    assert service.request("/boom", headers=headers)[0] == 500
                    failed.append(trace_id)
            service.end()
        found = kept(collector)
        assert len(found & set(asked["00"])) == len(found & set(asked["01"])) == wanted
        assert found >= set(failed)
        assert collector.count(DURATION) == 50
    figure(f"ratio {ratio}: {wanted} of 20 with flag 00, {wanted} of 20 with flag 01, 10 of 10 errors")


@pytest.mark.fault(30, "where the caller is trusted its flag decides, and errors are kept all the same")
def test_flags_of_the_trusted(app: str) -> None:
    """With `trust_incoming_sampling` flag 01 is kept and 00 is not, unless the request failed."""
    with Collector() as collector:
        with serving(app, collector, OBSKIT_SAMPLE_RATIO="0", OBSKIT_TRUST_INCOMING_SAMPLING="true") as service:
            ids = {}
            for name, path, flags in (("kept", "/items/1", "01"), ("not", "/items/1", "00"), ("error", "/boom", "00")):
                ids[name], headers = flagged(flags)
                service.request(path, headers=headers)
            service.end()
        assert kept(collector) == {ids["kept"], ids["error"]}
        assert collector.count(DURATION) == 3


@pytest.mark.fault(30, "a ratio keeps the same traces whatever the flag says")
def test_a_ratio(app: str, figure: Figure) -> None:
    """At a half, about half of 400 traces are kept, and the trace's id alone has decided which."""
    with Collector() as collector:
        with serving(app, collector, OBSKIT_SAMPLE_RATIO="0.5") as service:
            ids = []
            for number in range(200):
                trace_id, headers = new_trace()
                for flags in ("00", "01"):
                    parent = headers["traceparent"][:-2] + flags
                    assert service.request(f"/items/{number}", headers={"traceparent": parent})[0] == 200
                ids.append(trace_id)
            service.end()
        spans = [span.trace_id.hex() for span in collector.spans if span.kind == SERVER]
        assert all(spans.count(trace_id) in {0, 2} for trace_id in ids)
        assert 60 <= len(set(spans)) <= 140  # six standard deviations around 100
        assert collector.count(DURATION) == 400
    figure(f"ratio 0.5: {len(set(spans))} of 200 traces")


# --------------------------------------------------------------------------- 31


class Upstream:
    """A service that others call; it keeps the headers of every request, and redirects where it is told to."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, dict[str, str]]] = []
        upstream = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                headers = {name.lower(): value for name, value in self.headers.items()}
                upstream.seen.append((self.headers["Host"].partition(":")[0] + self.path, headers))
                is_redirect = self.path == "/redirect"
                self.send_response(302 if is_redirect else 200)
                if is_redirect:
                    self.send_header("Location", upstream.url("localhost") + "/target")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def url(self, host: str) -> str:
        return f"http://{host}:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.mark.fault(31, "once there is a list, other hosts see no trace headers; inbound baggage goes nowhere")
def test_what_is_forwarded(app: str, figure: Figure) -> None:
    """Only a host on the list sees `traceparent`, also after a redirect, and no host sees what came as baggage."""
    libraries = ("httpx", "requests", "async httpx", "aiohttp") if app == "fast" else ("httpx", "requests")
    allowed = {"OBSKIT_PROPAGATE_HOSTS": "127.0.0.1"}
    trace_ids = []
    with Collector() as collector, Upstream() as upstream, serving(app, collector, **allowed) as service:
        inside, outside = upstream.url("127.0.0.1"), upstream.url("localhost")
        for library in libraries:
            for target in (inside, outside, inside + "/redirect"):
                trace_id, headers = new_trace()
                headers |= {"baggage": "user=alice,session=s3cr3t", "tracestate": "vendor=x"}
                assert service.request(f"/call?library={quote(library)}&url={quote(target)}", headers=headers)[0] == 200
                trace_ids.append(trace_id)
    assert len(upstream.seen) == 4 * len(libraries)
    for where, headers in upstream.seen:
        assert "baggage" not in headers
        assert not any("s3cr3t" in value for value in headers.values())
        if where.startswith("127.0.0.1"):
            assert headers["traceparent"][3:35] in trace_ids
        else:
            assert not {"traceparent", "tracestate", "x-cloud-trace-context", "b3"} & headers.keys()
    strangers = [where for where, _ in upstream.seen if where.startswith("localhost")]
    assert len(strangers) == 2 * len(libraries)
    figure(f"0 of {len(strangers)} calls off the list had trace headers, 0 of {len(upstream.seen)} had baggage")


@pytest.mark.fault(31, "without a list trace headers go out, and baggage still does not")
def test_without_a_list(app: str) -> None:
    """By default every host sees the trace, and what a stranger sent as baggage stays with this service."""
    with Collector() as collector, Upstream() as upstream, serving(app, collector) as service:
        trace_id, headers = new_trace()
        path = f"/call?library=httpx&url={quote(upstream.url('localhost'))}"
        service.request(path, headers=headers | {"baggage": "user=alice"})
    ((_, headers),) = upstream.seen
    assert headers["traceparent"][3:35] == trace_id
    assert "baggage" not in headers


@pytest.mark.fault(31, "what other instrumentations send on holds no inbound baggage either")
def test_what_others_forward(app: str) -> None:
    """OpenTelemetry's own propagator, asked inside a request, has the trace and nothing that came as baggage."""
    with Collector() as collector, serving(app, collector) as service:
        trace_id, headers = new_trace()
        _, body = service.request("/inject", headers=headers | {"baggage": "user=alice,session=s3cr3t"})
    found = json.loads(body)
    assert found["traceparent"][3:35] == trace_id
    assert "baggage" not in found


# --------------------------------------------------------------------------- 32


def series(collector: Collector, name: str) -> list[dict]:
    """Return the labels of every series of a metric."""
    return [attributes(point) for (_, metric, _), point in collector.points.items() if metric == name]


def values(found: list[dict], label: str) -> set:
    return {labels[label] for labels in found if label in labels}


@pytest.mark.fault(32, "300 hosts, 300 unknown paths and 100 made-up methods make a handful of series and span names")
def test_what_strangers_make_up(app: str, figure: Figure) -> None:
    """Neither the number of series nor that of span names follows what is asked for, and every request is counted."""
    with Collector() as collector:
        with serving(app, collector) as service:
            for number in range(300):
                assert service.request("/items/1", headers={"Host": f"host-{number}.example"})[0] == 200
                assert service.request(f"/unknown/{number}/{number * 7919}")[0] == 404
            for number in range(100):
                assert service.request("/items/1", method=f"BREW{number}")[0] in {405, 501}
            service.end()
        found = series(collector, DURATION)
        assert collector.count(DURATION) == 700
        assert len(found) <= 5, found
        assert values(found, "http.request.method") == {"GET", "_OTHER"}
        assert not {"server.address", "url.path", "http.host"} & {label for labels in found for label in labels}
        names = {span.name for span in collector.spans if span.kind == SERVER}
        assert len(names) <= 5, names
        assert len([span for span in collector.spans if span.kind == SERVER]) == 700
    figure(f"700 made-up requests: {len(found)} series, {len(names)} span names")


@pytest.mark.fault(32, "more routes than the cap: the rest is counted under other")
def test_more_routes_than_the_cap(app: str, figure: Figure) -> None:
    """Of 600 routes the cap's worth have series of their own, and the requests of all others are under `other`."""
    cap = next(label.cap for label in catalog.HTTP_SERVER_DURATION.labels if label.name == "http.route")
    with Collector() as collector:
        with serving(app, collector) as service:
            for number in range(600):
                assert service.request(f"/routes/{number}")[0] == 200
            service.end()
        found = series(collector, DURATION)
        assert len(values(found, "http.route")) == cap + 1
        assert catalog.OTHER in values(found, "http.route")
        assert collector.count(DURATION) == 600
        (other,) = [
            point.count
            for (_, metric, _), point in collector.points.items()
            if metric == DURATION and attributes(point).get("http.route") == catalog.OTHER
        ]
        assert other == 600 - cap
    figure(f"600 routes: {cap} series and {other} requests under other")


@pytest.mark.fault(32, "an app made to call 300 hosts keeps its client series capped")
def test_more_hosts_called_than_the_cap(figure: Figure) -> None:
    """Of 300 called hosts the cap's worth have series of their own, and all other calls are under `other`."""
    cap = next(label.cap for label in catalog.HTTP_CLIENT_DURATION.labels if label.name == "server.address")
    with Collector() as collector:
        with serving("fast", collector) as service:
            assert service.request("/call-many/300")[0] == 200
            service.end()
        found = series(collector, CALLS)
        assert len(values(found, "server.address")) == cap + 1
        assert catalog.OTHER in values(found, "server.address")
        assert collector.count(CALLS) == 300
    figure(f"300 hosts called: {cap} series and other")
