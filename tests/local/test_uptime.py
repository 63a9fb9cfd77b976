"""Uptime checks are made from this machine, of this machine, and their series fire policies."""

from __future__ import annotations

import base64
import http.server
import json
import socket
import ssl
import subprocess
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from obskit.local.clock import Clock
from obskit.local.evaluate import Evaluator
from obskit.local.store import Store
from obskit.local.uptime import UptimeChecker, probe
from obskit.local.uptime.certificates import days_left
from obskit.local.uptime.matching import content_fault, is_good_status
from obskit.local.uptime.probe import _Line
from obskit.queries import filters

MINUTE = 60_000


class Page(http.server.BaseHTTPRequestHandler):
    """Answers with what the path asks for, and remembers what it was sent."""

    seen: list[dict] = []

    def do_GET(self):
        if self.path == "/drip":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            try:
                for _ in range(200):
                    self.wfile.write(b"x")
                    self.wfile.flush()
                    time.sleep(0.02)
            except OSError:
                return
        length = int(self.headers.get("content-length") or 0)
        self.seen.append({"path": self.path, "headers": dict(self.headers), "body": self.rfile.read(length)})
        status = int(self.path.strip("/")) if self.path.strip("/").isdigit() else 200
        body = json.dumps({"status": "ok", "parts": [{"name": "db"}]}).encode()
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/200")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *args):
        del args


@pytest.fixture(scope="module")
def page():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def secure(tmp_path_factory):
    """A server whose certificate nobody trusts, for 30 days; its port and the certificate."""
    folder = tmp_path_factory.mktemp("tls")
    key, pem, der = (str(folder / name) for name in ("key.pem", "cert.pem", "cert.der"))
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=localhost"]
    subprocess.run([*made, "-keyout", key, "-out", pem], check=True, capture_output=True)
    subprocess.run(["openssl", "x509", "-in", pem, "-outform", "der", "-out", der], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, key)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.handle_error = lambda *_: None
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server.server_address[1], (folder / "cert.der").read_bytes()
    server.shutdown()
    thread.join()
    server.server_close()


def check(port, host="127.0.0.1", matchers=(), name="shop", **asked):
    return {
        "name": f"projects/p/uptimeCheckConfigs/{name}",
        "displayName": "Shop",
        "monitoredResource": {"type": "uptime_url", "labels": {"project_id": "p", "host": host}},
        "httpCheck": {"path": "/", "port": port, "requestMethod": "GET", **asked},
        "contentMatchers": list(matchers),
        "period": "60s",
        "timeout": "5s",
    }


def free_port():
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return made.getsockname()[1]


# ------------------------------------------------------------------ one check


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "shop.localhost"])
def test_an_answer_passes(page, host):
    """This machine is asked under all of its names."""
    outcome = probe(check(page, host))
    assert (outcome.is_passed, outcome.reason, outcome.status) == (True, "", 200)
    assert outcome.latency_ms > 0
    assert outcome.days is None


def test_a_request_is_sent_as_it_is_defined(page):
    """Method, path, body, headers and basic authentication."""
    wanted = check(
        page,
        path="orders",
        requestMethod="POST",
        body=base64.b64encode(b"a=1").decode(),
        contentType="URL_ENCODED",
        headers={"X-Check": "1"},
        authInfo={"username": "u", "password": "p"},
    )
    assert probe(wanted).is_passed
    seen = Page.seen[-1]
    assert (seen["path"], seen["body"]) == ("/orders", b"a=1")
    assert seen["headers"]["X-Check"] == "1"
    assert seen["headers"]["Content-Type"] == "application/x-www-form-urlencoded"
    assert seen["headers"]["Authorization"] == "Basic " + base64.b64encode(b"u:p").decode()


def test_a_bad_status_fails(page):
    """Redirects are not followed: another machine could be behind one."""
    assert probe(check(page, path="/503")).reason == "HTTP 503"
    before = len(Page.seen)
    assert probe(check(page, path="/302")).reason == "HTTP 302"
    assert [each["path"] for each in Page.seen[before:]] == ["/302"]


@pytest.mark.parametrize(
    ("status", "accepted", "is_good"),
    [
        (204, [], True),
        (301, [], False),
        (404, [{"statusValue": 404}], True),
        (200, [{"statusValue": 404}], False),
        (503, [{"statusClass": "STATUS_CLASS_5XX"}], True),
        (503, [{"statusClass": "STATUS_CLASS_ANY"}], True),
        (503, [{"statusClass": "STATUS_CLASS_2XX"}], False),
    ],
)
def test_statuses_that_are_accepted(status, accepted, is_good):
    """By value or class; 200 to 299 where none is named."""
    assert is_good_status(status, accepted) is is_good


BODY = b'{"status": "ok", "parts": [{"name": "db", "lag": 3, "up": true}]}'


def at(path, content, name="MATCHES_JSON_PATH", how="EXACT_MATCH"):
    return {"content": content, "matcher": name, "jsonPathMatcher": {"jsonPath": path, "jsonMatcher": how}}


@pytest.mark.parametrize(
    ("matcher", "is_fine"),
    [
        ({"content": "ok"}, True),
        ({"content": "OK", "matcher": "CONTAINS_STRING"}, False),
        ({"content": "error", "matcher": "NOT_CONTAINS_STRING"}, True),
        ({"content": "stat.s", "matcher": "MATCHES_REGEX"}, True),
        ({"content": "stat.s", "matcher": "NOT_MATCHES_REGEX"}, False),
        ({"content": "(", "matcher": "MATCHES_REGEX"}, False),
        (at("$.status", '"ok"'), True),
        (at("$.status", "ok"), True),
        (at("$.parts[0].lag", "3"), True),
        (at("$.parts[0]['name']", "^d", how="REGEX_MATCH"), True),
        (at("$.parts[7].name", "db"), False),
        (at("$.status", "ok", "NOT_MATCHES_JSON_PATH"), False),
        (at("$..name", "db"), False),
        (at("$.parts[0].up", "true"), True),
        (at("$.parts[0].up", "1"), False),
        (at("$.parts[0].lag", "3.0"), True),
        ({"content": "", "matcher": "CONTAINS_STRING"}, True),
    ],
)
def test_content_that_is_wanted(matcher, is_fine):
    """Texts, regular expressions, and what stands at a JSON path, and their negations."""
    assert (content_fault(BODY, [matcher]) == "") is is_fine


def test_an_answer_with_too_many_levels_is_a_fault():
    """A server may not stop a check by what it answers."""
    assert "too many levels" in content_fault(b"[" * 100_000, [at("$.a", "1")])


def test_other_content_is_a_mismatch(page):
    """The answer came, but is another one."""
    outcome = probe(check(page, matchers=[{"content": "broken", "matcher": "CONTAINS_STRING"}]))
    assert (outcome.is_passed, outcome.is_mismatch, outcome.status) == (False, True, 200)
    assert "does not have 'broken'" in outcome.reason


def test_nobody_there():
    """A refused connection is a failure without a status."""
    outcome = probe(check(free_port()))
    assert (outcome.is_passed, outcome.status, outcome.latency_ms) == (False, None, None)
    assert "refused" in outcome.reason.lower()


def test_an_answer_that_drips_is_cut_off(page):
    """The timeout is of the whole check, not of each byte."""
    outcome = probe({**check(page, path="/drip"), "timeout": "1s"})
    assert outcome.reason == "no answer within 1 s"


def test_tcp(page):
    """A connection is enough."""
    open_port = {**check(page), "tcpCheck": {"port": page}}
    del open_port["httpCheck"]
    assert probe(open_port).is_passed
    assert not probe({**open_port, "tcpCheck": {"port": free_port()}}).is_passed


def test_certificates(secure):
    """Their end is seen; one that nobody trusts fails only where that is asked for, and is asked nothing then."""
    port, der = secure
    outcome = probe(check(port, "localhost", useSsl=True))
    assert outcome.is_passed
    assert 29 < outcome.days <= 30
    assert days_left(der, datetime.now(UTC) + timedelta(days=31)) < 0
    before = len(Page.seen)
    outcome = probe(check(port, "localhost", useSsl=True, validateSsl=True))
    assert not outcome.is_passed
    assert "certificate is not valid" in outcome.reason
    assert 29 < outcome.days <= 30
    assert len(Page.seen) == before


@pytest.mark.parametrize("data", [b"", b"\x30", b"\x30\x82\xff\xff", b"\x30\x02\x30\x00"])
def test_what_is_no_certificate_is_told(data):
    """Bytes of a server are not trusted to be what they should be."""
    with pytest.raises(ValueError, match="certificate"):
        days_left(data, datetime.now(UTC))


# ------------------------------------------------------------------ other machines


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (check(80, "example.com"), "example.com is not on this machine"),
        (check(80, "10.0.0.1"), "10.0.0.1 is not on this machine"),
        (check(80, "localhost.example.com"), "localhost.example.com is not on this machine"),
        (check(80, matchers=[{"content": "(a+)+", "matcher": "NOT_MATCHES_REGEX"}]), "may take for ever"),
        (check(80, matchers=[at("$.a", "(a+)+", how="REGEX_MATCH")]), "may take for ever"),
        ({"syntheticMonitor": {}}, "a synthetic monitor"),
        ({"monitoredResource": {"type": "gce_instance"}, "httpCheck": {}}, "gce_instance is not on this machine"),
    ],
    ids=["name", "address", "trick", "pattern", "value", "synthetic", "instance"],
)
def test_what_is_not_checked_here(made, told):
    """Other machines, which only --deliver-outside allows, and what could hold this one up."""
    outcome = probe(made)
    assert not outcome.is_passed
    assert outcome.reason.startswith("not checked here: ")
    assert told in outcome.reason


@pytest.mark.parametrize("address", ["10.0.0.1", "0.0.0.0", "::ffff:10.0.0.1", "fe80::1", "169.254.169.254"])
def test_the_address_of_a_name_is_looked_at(address):
    """A name of this machine may stand for another one's address in somebody's DNS: nothing is sent there."""
    line = _Line(time.monotonic() + 5)
    try:
        with pytest.raises(OSError, match="which is not on this machine"):
            line.open(address, 9, is_outside_allowed=False)
    finally:
        line.close()


# ------------------------------------------------------------------ the backend


class Scene:
    def __init__(self):
        self.now_ms = 100 * MINUTE
        self.store = Store(Clock(read_ms=lambda: self.now_ms), project="p")
        self.checker = UptimeChecker(store=self.store, clock=self.store.clock)

    def values(self, metric):
        """Return the newest value for each location."""
        wanted = filters.parse(f'metric.type="monitoring.googleapis.com/uptime_check/{metric}"')
        found = self.store.metrics.list_series(wanted, 0, 1000 * MINUTE)
        return {each.metric_labels["checker_location"]: each.points[-1].value for each in found}


@pytest.fixture
def scene():
    made = Scene()
    yield made
    made.store.close()


PLACES = {"usa-iowa", "usa-oregon", "usa-virginia", "eur-belgium", "sa-brazil-sao_paulo", "apac-singapore"}


def test_series_of_a_check(scene, page):
    """Each place from which it would be made has a series, on the check's resource."""
    scene.store.objects.put(check(page))
    assert scene.checker.check_now("projects/p/uptimeCheckConfigs/shop").is_passed
    assert scene.values("check_passed") == dict.fromkeys(PLACES, 1.0)
    assert scene.values("http_status") == dict.fromkeys(PLACES, 200.0)
    assert scene.values("content_mismatch") == dict.fromkeys(PLACES, 0.0)
    assert set(scene.values("request_latency")) == PLACES
    assert scene.values("time_until_ssl_cert_expires") == {}
    (state,) = scene.checker.states()
    assert (state["state"], state["status"], state["last_ms"]) == ("passed", 200, scene.now_ms)


def test_regions_pick_places_and_other_machines_have_no_series(scene, page):
    """A check that is not made here says so, and writes nothing that could fire."""
    scene.store.objects.put({**check(page), "selectedRegions": ["EUROPE", "USA_IOWA", "ASIA_PACIFIC"]})
    scene.store.objects.put(check(443, "example.com", name="outside"))
    scene.checker.check_now("projects/p/uptimeCheckConfigs/shop")
    assert scene.checker.check_now("projects/p/uptimeCheckConfigs/outside") is None
    assert set(scene.values("check_passed")) == {"eur-belgium", "usa-iowa", "apac-singapore"}
    state = scene.checker.states()[1]
    assert (state["state"], state["reason"]) == ("not_checked", "not checked here: example.com is not on this machine")


def test_a_policy_on_a_check_fires(scene):
    """The policy that the console makes counts the places that fail."""
    scene.store.objects.put(check(free_port()))
    text = 'metric.type="monitoring.googleapis.com/uptime_check/check_passed" AND resource.type="uptime_url"'
    aggregation = {
        "alignmentPeriod": "1200s",
        "perSeriesAligner": "ALIGN_NEXT_OLDER",
        "crossSeriesReducer": "REDUCE_COUNT_FALSE",
        "groupByFields": ["resource.label.*"],
    }
    body = {
        "filter": f'{text} AND metric.labels.check_id="shop"',
        "aggregations": [aggregation],
        "comparison": "COMPARISON_GT",
        "thresholdValue": 1,
        "duration": "0s",
    }
    condition = {"displayName": "down", "conditionThreshold": body}
    scene.store.objects.put({"name": "projects/p/alertPolicies/1", "combiner": "OR", "conditions": [condition]})
    told = []

    class Told:
        def notify(self, incident, policy, *, state):
            told.append((state, incident["observed_value"]))
            return 1

    evaluator = Evaluator(store=scene.store, clock=scene.store.clock, notifier=Told(), settle_s=0.0)
    evaluator.run_until(scene.now_ms)
    scene.checker.check_now("projects/p/uptimeCheckConfigs/shop")
    evaluator.run_until(scene.now_ms + MINUTE)
    assert told == [("open", 6.0)]


def test_in_a_running_backend(http, backend, page):
    """A check that the API makes is made by itself; its status is a text in the API, as at Google."""
    project = f"projects/{backend.project}"
    body = {key: value for key, value in check(page).items() if key not in {"name", "monitoredResource"}}
    resource = {"type": "uptime_url", "labels": {"host": "127.0.0.1"}}
    made = http.post(f"/v3/{project}/uptimeCheckConfigs", {**body, "monitoredResource": resource})
    deadline, state = time.monotonic() + 20, {}
    while state.get("state") != "passed" and time.monotonic() < deadline:
        state = {each["name"]: each for each in http.get("/api/uptime_checks")["uptime_checks"]}[made["name"]]
        time.sleep(0.02)
    assert state["state"] == "passed", state
    text = 'metric.type="monitoring.googleapis.com/uptime_check/http_status" AND resource.type="uptime_url"'
    window = {"interval.startTime": "1970-01-01T00:00:00Z", "interval.endTime": "2100-01-01T00:00:00Z"}
    found = http.get(f"/v3/{project}/timeSeries", filter=text, **window)["timeSeries"]
    assert {each["points"][0]["value"]["stringValue"] for each in found} == {"200"}
    assert http.call("DELETE", f"/v3/{made['name']}")[0] == 200
