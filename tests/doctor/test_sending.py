"""The test record through every exporter, accepted, refused, lost on the way, and read back."""

from __future__ import annotations

import socket
import subprocess
import sys

import grpc
import pytest
from collector import Collector
from doctoring import FASTAPI_APP, Found, clean_environment
from google_twin import GoogleTwin, Refusal

from obskit.local.serve import LocalBackend


def states(found: Found) -> dict[str, str]:
    return {each["name"]: each["state"] for each in found.of("test record")}


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_an_otlp_receiver_gets_one_of_each_signal(doctor):
    """One span, one point of value 0, one error record; each is acknowledged; the receiver's clock is compared."""
    with Collector() as collector:
        found = doctor(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, OBSKIT_SERVICE_NAME="shop")
        assert (found.code, found.bad) == (0, [])
        assert states(found) == dict.fromkeys(["otlp span", "otlp metric point", "otlp error", "log line"], "ok")
        assert len(collector.spans) == len(collector.records) == 1
        ((_, metric, _),) = collector.points
        assert metric == "obskit.telemetry.lost"
        assert [point.as_int for point in collector.points.values()] == [0]
    assert found.one("clock", "skew")["state"] == "ok"


def test_nothing_is_sent_on_request(doctor):
    """--no-send reaches no path of a receiver that takes telemetry."""
    with Collector() as collector:
        found = doctor("--no-send", OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
        assert found.code == 0
        assert collector.paths == []
    assert found.one("test record", "otlp")["state"] == "info"


def test_a_closed_port_is_a_problem_with_the_variable_that_names_it(doctor):
    """An endpoint where nobody listens ends with exit code 1, quickly, naming the place and its source."""
    url = f"http://127.0.0.1:{closed_port()}"
    found = doctor(OTEL_EXPORTER_OTLP_ENDPOINT=url)
    assert found.code == 1
    assert states(found)["otlp span"] == "problem"
    assert url in found.one("test record", "otlp span")["way_out"]
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" in found.one("test record", "otlp span")["way_out"]


def test_a_grpc_port_is_recognised(doctor):
    """An endpoint where something listens that speaks no HTTP is told from one where nobody does."""
    with GoogleTwin() as twin:
        found = doctor(OTEL_EXPORTER_OTLP_ENDPOINT=f"http://{twin.address}")
    span = found.one("test record", "otlp span")
    assert (found.code, span["state"]) == (1, "problem")
    assert "gRPC port" in span["way_out"]


@pytest.mark.parametrize(
    ("status", "expected"),
    [(401, "OTEL_EXPORTER_OTLP_HEADERS"), (404, "/v1/traces is no OTLP/HTTP path"), (415, "protobuf")],
)
def test_a_refusing_receiver_is_explained_by_its_status(doctor, status, expected):
    """Each refusal has its own way out; what was accepted beside it is said to be."""
    with Collector() as collector:
        collector.answers = [(status, {})] * 2 + [(200, {})] * 10
        found = doctor(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
    refused = [each for each in found.of("test record") if each["state"] == "problem"]
    assert found.code == 1
    assert refused
    assert any(str(status) in each["text"] for each in refused)
    if status != 404:
        assert all(expected in each["way_out"] for each in refused)


def test_the_local_backend_gives_the_record_back(doctor):
    """Through OTLP to the local backend each signal is looked up after it was accepted."""
    with LocalBackend(project="local-project", http_port=0, grpc_port=0) as backend:
        found = doctor(OTEL_EXPORTER_OTLP_ENDPOINT=backend.http_url)
        assert (found.code, found.bad) == (0, [])
        for name in ("otlp span", "otlp metric point", "otlp error"):
            assert "read back" in found.one("test record", name)["text"]


def test_under_obskit_run_the_log_line_is_read_back_too(tmp_path):
    """`obskit run -- obskit doctor main:app` proves all four signals, end to end."""
    (tmp_path / "main.py").write_text(FASTAPI_APP)
    doctor = [sys.executable, "-c", "from obskit.cli import main; main()", "doctor", "main:app", "--json"]
    runner = [sys.executable, "-c", "from obskit.cli import main; main()", "run", "--", *doctor]
    with LocalBackend(project="local-project", http_port=0, grpc_port=0) as backend:
        done = subprocess.run(
            runner,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=90,
            env=clean_environment(tmp_path, OBSKIT_LOCAL_URL=backend.http_url),
        )
    found = Found(done)
    assert (found.code, found.bad) == (0, []), done.stderr
    records = {each["name"]: each["text"] for each in found.of("test record")}
    assert set(records) == {"gcp span", "gcp metric point", "gcp error", "log line"}
    assert all("read back" in text for text in records.values()), records
    assert found.one("platform", "obskit run")["state"] == "ok"


def test_a_refused_write_names_the_permission_and_grants_it(doctor):
    """PERMISSION_DENIED of one call is that signal's problem, with IAM's name; the others are accepted."""

    def rule(method, request):
        if method == "CreateTimeSeries":
            raise Refusal(
                grpc.StatusCode.PERMISSION_DENIED,
                "Permission monitoring.timeSeries.create denied (or the resource may not exist).",
            )
        if method == "ReportErrorEvent":
            raise Refusal(grpc.StatusCode.PERMISSION_DENIED, "The caller does not have permission")

    with GoogleTwin() as twin:
        twin.rule = rule
        found = doctor(OBSKIT_EXPORTERS="gcp", OBSKIT_LOCAL_ENDPOINT=twin.address, OBSKIT_PROJECT="shop-prod")
        assert len(twin.spans) == 1
    assert found.code == 1
    assert states(found)["gcp span"] == "ok"
    point, error = found.one("test record", "gcp metric point"), found.one("test record", "gcp error")
    assert "permission monitoring.timeSeries.create is missing on project shop-prod" in point["text"]
    assert "roles/monitoring.metricWriter" in point["way_out"]
    assert "permission errorreporting.errorEvents.create is missing" in error["text"]


def test_an_api_that_is_switched_off_is_to_be_enabled(doctor):
    """Google's SERVICE_DISABLED refusal ends in the command that switches the API on."""

    def rule(method, request):
        if method == "BatchWriteSpans":
            text = (
                "Cloud Trace API (cloudtrace.googleapis.com) has not been used in project 12 before or it is disabled."
            )
            raise Refusal(grpc.StatusCode.PERMISSION_DENIED, text)

    with GoogleTwin() as twin:
        twin.rule = rule
        found = doctor(OBSKIT_EXPORTERS="gcp", OBSKIT_LOCAL_ENDPOINT=twin.address, OBSKIT_PROJECT="shop-prod")
    span = found.one("test record", "gcp span")
    assert (found.code, span["state"]) == (1, "problem")
    assert span["way_out"] == "gcloud services enable cloudtrace.googleapis.com --project shop-prod"


BLOCKER = """\
import sys


class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)


sys.meta_path.insert(0, Blocker())
"""


@pytest.fixture
def without(write):
    """Returns the PYTHONPATH on which a module cannot be imported, as in a broken installation."""
    return lambda module: str(write("blocked/sitecustomize.py", BLOCKER.format(module=module)).parent)


def test_an_exporter_whose_client_is_missing_is_told(doctor, without):
    """A missing part of Google's clients is a problem with the package's name, not a traceback."""
    with GoogleTwin() as twin:
        path = without("google.cloud.trace_v2")
        found = doctor(OBSKIT_EXPORTERS="gcp", OBSKIT_LOCAL_ENDPOINT=twin.address, PYTHONPATH=path)
    (record,) = [each for each in found.of("test record") if each["state"] == "problem"]
    assert found.code == 1
    assert "google.cloud.trace_v2" in record["text"]
    assert "pip install" in record["way_out"]


def test_a_part_that_is_not_needed_may_be_missing(doctor, without):
    """Without google-auth everything but the exporter gcp is examined and works."""
    with Collector() as collector:
        found = doctor(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, PYTHONPATH=without("google.auth"))
    assert found.bad == []
    assert states(found)["otlp span"] == "ok"


def test_an_installation_that_cannot_work_says_so(doctor, without):
    """Without OpenTelemetry's SDK there is one problem with the missing module's name, and no traceback."""
    found = doctor(PYTHONPATH=without("opentelemetry.sdk"))
    assert (found.code, found.bad) == (1, ["app: obskit"])
    assert "opentelemetry.sdk" in found.one("app", "obskit")["text"]
    assert "Traceback" not in found.out + found.err


def test_a_set_up_that_fails_is_told_in_its_own_words(doctor, without, write):
    """What `instrument` only warns of when it fails is a problem here; libraries are not blamed for it."""
    write("main.py", FASTAPI_APP)
    found = doctor("main:app", "--no-send", PYTHONPATH=without("obskit.middleware.requests"))
    assert (found.code, found.bad) == (1, ["app: set-up"])
    assert "obskit.middleware.requests" in found.one("app", "set-up")["text"]
    assert found.of("libraries") == []


def test_a_receiver_that_never_answers_takes_a_bounded_time(doctor):
    """A port that takes connections and says nothing is given up; each signal says so."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(20)
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        found = doctor("--timeout", "4", OTEL_EXPORTER_OTLP_ENDPOINT=url)
    assert found.code == 1
    assert {state for name, state in states(found).items() if name != "log line"} == {"problem"}


def test_google_without_credentials_is_one_clear_problem(doctor):
    """exporters=gcp on a machine without credentials: problem, way out, exit code 1; nothing is tried in vain."""
    found = doctor(
        OBSKIT_EXPORTERS="gcp", GOOGLE_CLOUD_PROJECT="shop-prod", GCE_METADATA_HOST=f"127.0.0.1:{closed_port()}"
    )
    assert (found.code, found.bad) == (1, ["credentials: credentials"])
    assert "gcloud auth application-default login" in found.one("credentials", "credentials")["way_out"]
    assert found.one("test record", "gcp")["state"] == "info"


def test_sentry_is_sent_an_error_only(doctor):
    """A DSN adds the exporter sentry beside the others; its key is nowhere in the document."""
    with Collector() as collector:
        key = "0123456789abcdef0123456789abcdef"
        dsn = collector.url.replace("http://", f"http://{key}@") + "/42"
        found = doctor(SENTRY_DSN=dsn)
        assert (found.code, found.bad) == (0, [])
        assert collector.paths == ["/api/42/envelope/"]
    assert states(found)["sentry error"] == "ok"
    assert key not in found.out


def test_an_sdk_that_is_switched_off_is_shouted(doctor):
    """OTEL_SDK_DISABLED=true, which makes spans and metrics vanish without a word, is a problem by name."""
    with Collector() as collector:
        found = doctor(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, OTEL_SDK_DISABLED="true")
    assert found.code == 1
    assert "traps: OTEL_SDK_DISABLED" in found.bad


def test_secrets_of_the_environment_are_nowhere_in_the_output(doctor):
    """Headers, DSN, passwords and keys in URLs are masked, in JSON and in text."""
    secret = "s3cr3t-of-the-test"
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://user:{secret}@127.0.0.1:{closed_port()}/?key={secret}",
        "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer {secret},x-tenant={secret}",
        "SENTRY_DSN": f"http://{secret.replace('-', '')}@127.0.0.1:{closed_port()}/1",
    }
    for as_text in (False, True):
        found = doctor("--settings", as_text=as_text, COLUMNS="200", **environ)
        assert secret not in found.out + found.err
        assert secret.replace("-", "") not in found.out + found.err
        assert "authorization" in found.out
