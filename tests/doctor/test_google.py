"""Metadata server, credentials, permissions, Cloud Run's CPU and the clock, against servers on loopback."""

from __future__ import annotations

import json
import time
from email.utils import formatdate
from pathlib import Path

import pytest
import requests

from obskit.doctor import clocks, cloud_run, credentials, metadata, permissions
from obskit.doctor.findings import State
from obskit.doctor.google import Google
from obskit.doctor.metadata import Metadata

CLOUD_RUN = {"K_SERVICE": "shop", "K_REVISION": "shop-1", "K_CONFIGURATION": "shop"}
IAM = "/v1/projects/fake-project:testIamPermissions"
SERVICE = "/v2/projects/fake-project/locations/europe-west1/services/shop"
ALL = [permission.name for permission in permissions.NEEDED]


def test_a_cloud_run_service_is_examined_whole(doctor, google_place):
    """Platform, region, account, project, permissions, CPU allocation and clock, from the servers that Cloud Run has."""
    google_place.answers[IAM] = {"permissions": ALL}
    google_place.answers[SERVICE] = {
        "template": {"containers": [{"resources": {"cpuIdle": True}}], "scaling": {"minInstanceCount": 2}}
    }
    found = doctor("--no-send", **CLOUD_RUN, **google_place.environment)
    assert (found.code, found.bad) == (0, [])
    assert found.one("platform", "platform")["text"] == "Cloud Run service shop, revision shop-1"
    assert "europe-west1" in found.one("platform", "metadata server")["text"]
    assert "run@fake-project.iam.gserviceaccount.com" in found.one("credentials", "credentials")["text"]
    assert found.one("project", "project")["text"] == "fake-project (from the metadata server)"
    assert found.one("permissions", "permissions")["state"] == "ok"
    assert "during requests only; at least 2 instances" in found.one("platform", "cpu allocation")["text"]
    assert found.one("clock", "skew")["state"] == "ok"
    assert "ya29" not in found.out


def test_permissions_that_are_missing_are_named_with_the_grant(doctor, google_place):
    """Each missing permission is a problem of its own; the way out grants its role to the very account."""
    google_place.answers[IAM] = {"permissions": ["cloudtrace.traces.patch", "monitoring.metricDescriptors.create"]}
    found = doctor("--no-send", **CLOUD_RUN, **google_place.environment)
    assert found.code == 1
    assert found.bad == ["permissions: monitoring.timeSeries.create", "permissions: errorreporting.errorEvents.create"]
    assert found.one("permissions", "monitoring.timeSeries.create")["way_out"] == (
        "gcloud projects add-iam-policy-binding fake-project"
        " --member=serviceAccount:run@fake-project.iam.gserviceaccount.com --role=roles/monitoring.metricWriter"
    )


def test_what_may_not_be_asked_is_said_to_be_unknown(doctor, google_place):
    """Without the right to ask, permissions and CPU are unknown and no problem; the way out says how to see."""
    refusal = (403, {"error": {"message": "Permission 'run.services.get' denied"}})
    google_place.answers |= {IAM: refusal, SERVICE: refusal}
    found = doctor("--no-send", **CLOUD_RUN, **google_place.environment)
    assert found.code == 0
    assert found.one("permissions", "testIamPermissions")["state"] == "info"
    allocation = found.one("platform", "cpu allocation")
    assert allocation["state"] == "info"
    assert "cannot be told" in allocation["text"]
    assert "gcloud run services describe shop --region europe-west1" in allocation["way_out"]


def test_a_clock_that_is_off_is_told(doctor, google_place):
    """Ten minutes behind Google's Date header is a warning with the amount."""
    google_place.answers[IAM] = {"permissions": ALL}
    google_place.date = formatdate(time.time() + 600, usegmt=True)
    found = doctor("--no-send", **CLOUD_RUN, **google_place.environment)
    assert found.one("clock", "skew")["state"] == "warning"
    assert "10 min behind" in found.one("clock", "skew")["text"]


def test_the_metadata_server_that_does_not_answer_takes_a_bounded_time():
    """A server that accepts and never answers is given up after the time that was given."""
    import socket

    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(1)
        found = metadata.ask({"GCE_METADATA_HOST": f"127.0.0.1:{silent.getsockname()[1]}"}, timeout_s=0.3)
    assert not found.is_reachable
    assert "no answer in time" in metadata.describe(found, is_google=False, is_needed=False)[0].text


def test_something_else_on_the_metadata_address_is_not_googles(google_place):
    """Another cloud's server answers on that address too; without Google's header it does not count."""
    from collector import Collector

    with Collector() as other:
        found = metadata.ask({"GCE_METADATA_HOST": other.url.removeprefix("http://")})
    assert not found.is_reachable
    assert metadata.ask({"GCE_METADATA_HOST": google_place.host}).is_reachable


def test_narrow_access_scopes_are_a_warning():
    """A machine whose scopes lack monitoring.write cannot write metrics, whatever its account may do."""
    narrow = Metadata(host="h", is_reachable=True, scopes=("https://www.googleapis.com/auth/trace.append",))
    found = {each.name: each for each in metadata.describe(narrow, is_google=True, is_needed=True)}
    assert "lack monitoring.write" in found["scopes"].text


KEY = {
    "type": "service_account",
    "project_id": "p",
    "client_email": "sa@p.iam.gserviceaccount.com",
    "private_key": "-----BEGIN PRIVATE KEY-----SECRET",
}
IMPERSONATION = {
    "type": "impersonated_service_account",
    "service_account_impersonation_url": "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/to@p.iam.gserviceaccount.com:generateAccessToken",
    "source_credentials": {"type": "authorized_user", "refresh_token": "SECRET"},
}


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (KEY, "service account key sa@p.iam.gserviceaccount.com"),
        (IMPERSONATION, "impersonation of a service account to@p.iam.gserviceaccount.com"),
        ({"type": "authorized_user", "refresh_token": "SECRET"}, "a person's credentials"),
        ({"type": "external_account"}, "workload identity federation"),
    ],
    ids=["key", "impersonated", "person", "federated"],
)
def test_each_kind_of_credentials_is_told_without_its_secret(tmp_path, document, expected):
    """The file's kind and account, and nothing secret of it."""
    path = tmp_path / "key.json"
    path.write_text(json.dumps(document))
    found = credentials.find({"GOOGLE_APPLICATION_CREDENTIALS": str(path)}, Metadata())
    shown = credentials.describe(found, is_needed=True)
    assert shown[0].state is State.OK
    assert shown[0].text.startswith(expected)
    assert "SECRET" not in repr(found) + repr(shown)


def test_credentials_are_looked_for_in_google_auths_order(tmp_path):
    """The variable wins over gcloud's file, which wins over the metadata server."""
    known = tmp_path / ".config" / "gcloud" / "application_default_credentials.json"
    known.parent.mkdir(parents=True)
    there = Metadata(host="h", is_reachable=True, email="m@p")
    environ = {"HOME": str(tmp_path)}
    assert credentials.find(environ, there).source == "metadata"
    known.write_text(json.dumps(KEY))
    assert credentials.find(environ, there).source == "gcloud"
    named = credentials.find({**environ, "GOOGLE_APPLICATION_CREDENTIALS": "/no/such/file"}, there)
    assert (named.source, named.trouble) == ("file", "there is no such file")
    assert credentials.describe(named, is_needed=True)[0].state is State.PROBLEM
    assert credentials.describe(named, is_needed=False)[0].state is State.WARNING


@pytest.mark.parametrize("text", ["not json", "{}", "[]"])
def test_a_file_that_holds_no_credentials_is_told(tmp_path, text):
    """A wrong file under GOOGLE_APPLICATION_CREDENTIALS is named, whatever is in it."""
    path = tmp_path / "key.json"
    path.write_text(text)
    found = credentials.find({"GOOGLE_APPLICATION_CREDENTIALS": str(path)}, Metadata())
    assert not found.are_usable
    assert str(path) in credentials.describe(found, is_needed=True)[0].text


def test_a_key_that_google_refuses_is_a_problem(doctor, google_place, write):
    """A service account key whose token is refused is told in Google's words, and nothing is sent in vain."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    google_place.answers["/token"] = (400, {"error": "invalid_grant", "error_description": "Account not found"})
    document = {**KEY, "private_key": key.decode(), "token_uri": f"http://{google_place.host}/token"}
    path: Path = write("key.json", json.dumps(document))
    found = doctor(OBSKIT_EXPORTERS="gcp", GOOGLE_APPLICATION_CREDENTIALS=str(path), **google_place.environment)
    assert (found.code, found.bad) == (1, ["credentials: token"])
    assert "Account not found" in found.one("credentials", "token")["text"]
    assert "PRIVATE KEY" not in found.out


def test_always_allocated_cpu_is_said_to_be(google_place):
    """A service without cpuIdle keeps its CPU."""
    google_place.answers[SERVICE] = {
        "template": {"containers": [{"resources": {}}]},
        "scaling": {"minInstanceCount": 1},
    }
    google = Google(requests.Session(), google_place.environment)
    (found,) = cloud_run.describe(google, {"K_SERVICE": "shop"}, "fake-project", "europe-west1", timeout_s=2)
    assert found.text == "CPU is always allocated; at least 1 instance"


@pytest.mark.parametrize(
    ("off_s", "state", "expected"),
    [(1, State.OK, "agrees"), (-30, State.INFO, "30 s ahead of"), (400, State.WARNING, "7 min behind")],
)
def test_skew_is_weighed_by_what_it_costs(google_place, off_s, state, expected):
    """Seconds are fine, half a minute is worth a word, minutes are a warning."""
    google_place.date = formatdate(time.time() + off_s, usegmt=True)
    reading = clocks.read(f"http://{google_place.host}/any/path?key=x", timeout_s=2)
    (found,) = clocks.describe([reading])
    assert found.state is state
    assert expected in found.text
    assert google_place.asked == ["/"]
