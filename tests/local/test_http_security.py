"""The HTTP services answer this machine's own pages and tools, and nobody else."""

from __future__ import annotations

import gzip
import json

import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from obskit.local.http.security import MAX_BODY_BYTES, SecurityMiddleware

PROMETHEUS = "/v1/projects/p/location/global/prometheus/api/v1/query"


async def echo(request):
    return JSONResponse({"size": len(await request.body()), "body": (await request.body())[:100].decode()})


@pytest.fixture(scope="module")
def client():
    app = Starlette(routes=[Route("/{path:path}", echo, methods=["GET", "POST", "PATCH", "DELETE"])])
    with TestClient(SecurityMiddleware(app), base_url="http://127.0.0.1:4320") as client:
        yield client


@pytest.mark.parametrize("host", ["127.0.0.1:4320", "localhost:4320", "[::1]:4320", "ui.localhost"])
def test_own_hosts_are_served(client, host):
    """Every name of this machine is served."""
    assert client.get("/", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "10.0.0.1", "", "[", "127.0.0.1@evil.example"]
)
def test_foreign_host_is_refused(client, host):
    """A name that somebody else can point at this machine is refused, so DNS rebinding gains nothing."""
    answer = client.get("/", headers={"host": host})
    assert answer.status_code == 421
    assert answer.json()["error"]["status"] == "PERMISSION_DENIED"


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:9999", "http://localhost:4320"])
def test_foreign_origin_is_refused(client, origin):
    """A page from anywhere but this very address is refused, for reading and for writing."""
    assert client.get("/", headers={"origin": origin}).status_code == 403
    assert client.post("/x", json={}, headers={"origin": origin}).status_code == 403


def test_own_origin_is_served(client):
    """The UI's own pages may post JSON."""
    assert client.post("/x", json={}, headers={"origin": "http://127.0.0.1:4320"}).status_code == 200


def test_cross_site_request_without_origin_is_refused(client):
    """A browser that says the request comes from another site is believed."""
    assert client.post("/x", json={}, headers={"sec-fetch-site": "cross-site"}).status_code == 403
    assert client.get("/", headers={"sec-fetch-site": "cross-site"}).status_code == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_bodies_that_a_form_can_send_are_refused(client, kind):
    """Only JSON may be posted, because every page on the web can post the other types."""
    assert client.post("/api/timeseries", content=b"{}", headers={"content-type": kind}).status_code == 415


@pytest.mark.parametrize(
    ("path", "kind", "status"),
    [
        ("/v1/traces", "application/x-protobuf", 200),
        ("/v1/logs", "application/json", 200),
        ("/v1/metrics", "text/plain", 415),
        ("/v2/entries:write", "application/x-protobuf", 415),
        (PROMETHEUS, "application/x-www-form-urlencoded", 200),
        (PROMETHEUS, "text/plain", 415),
    ],
)
def test_types_by_path(client, path, kind, status):
    """OTLP takes protobuf and the Prometheus API takes forms, on their own paths only."""
    assert client.post(path, content=b"a=b", headers={"content-type": kind}).status_code == status


def test_large_bodies_are_refused(client):
    """A body beyond the limit is refused, also when it is only large once decompressed."""
    kind = {"content-type": "application/json"}
    assert client.post("/x", content=b"x" * (MAX_BODY_BYTES + 1), headers=kind).status_code == 413
    bomb = gzip.compress(b"x" * (MAX_BODY_BYTES + 1))
    assert len(bomb) < 100_000
    assert client.post("/x", content=bomb, headers={**kind, "content-encoding": "gzip"}).status_code == 413


def test_gzip_is_undone(client):
    """A compressed body arrives decompressed, and broken compression is a bad request."""
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    body = json.dumps({"a": 1}).encode()
    assert client.post("/v1/traces", content=gzip.compress(body), headers=headers).json()["body"] == body.decode()
    assert client.post("/v1/traces", content=b"no gzip", headers=headers).status_code == 400
    assert client.post("/x", content=b"??", headers={**headers, "content-encoding": "br"}).status_code == 415


def test_protective_headers_are_everywhere(client):
    """Answers and refusals carry the policy that makes stored HTML inert."""
    for answer in (client.get("/"), client.get("/", headers={"host": "evil.example"})):
        assert "default-src 'self'" in answer.headers["content-security-policy"]
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
