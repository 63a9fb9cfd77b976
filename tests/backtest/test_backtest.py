"""What policies would have done: the same from a folder, a local backend and the real Prometheus."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner

from obskit.alerts import error_spike
from obskit.backtest.candidates import nearby, tune
from obskit.backtest.play import play
from obskit.backtest.sources import Folder, Prometheus, local_past
from obskit.backtest.texts import shown_length
from obskit.backtest.thresholds import varied_of
from obskit.cli import app
from obskit.errors import BackendError, ConfigError, QueryError
from obskit.local.serve import LocalBackend
from obskit.local.store import Store
from obskit.queries.context import RenderContext
from obskit.testing import AlertTest

BEGIN_S, END_S = 1_760_000_400, 1_760_259_570  # as in conftest.py
CONTEXT = RenderContext(project="p")
START_MS, END_MS = BEGIN_S * 1000, END_S * 1000
SPIKE = error_spike(service="chat").to_dict(CONTEXT)
HOUR_MS = 3_600_000


@contextmanager
def folder_past(folder):
    store = Store(path=folder, is_saved=False)
    try:
        yield Folder(store, "a folder")
    finally:
        store.close()


@contextmanager
def backend_past(folder):
    with LocalBackend(project="p", http_port=0, grpc_port=0, data=folder) as backend:
        yield local_past(backend.http_url, "p")


def openings(played):
    return [round((each.started_at_ms - START_MS) / HOUR_MS, 2) for each in played.incidents]


def summary(several):
    return [(each.threshold, openings(each), each.open_ms) for each in several]


def test_the_folder_knows_when_the_policy_would_have_fired(folder):
    """Three spells above 5 %, two minutes after each began; the one of 3 % is none."""
    with folder_past(folder) as past:
        (played,), values = play(SPIKE, past, start_ms=START_MS, end_ms=END_MS)
    assert [int(hour) for hour in openings(played)] == [10, 30, 50]
    assert all(0 < hour - int(hour) < 0.06 for hour in openings(played))
    assert played.longest_ms == pytest.approx(HOUR_MS, abs=3 * 60_000)
    assert played.pages_a_month == pytest.approx(30, rel=0.01)
    assert max(value for value in values.highest if value is not None) == pytest.approx(0.2, abs=0.02)


def test_every_threshold_is_as_if_it_had_been_the_policys_own(folder):
    """Playing several at once gives what playing each by itself gives, with the comparison or without."""
    thresholds = [0.025, 0.1]
    with folder_past(folder) as past:
        found, _ = play(SPIKE, past, start_ms=START_MS, end_ms=END_MS, thresholds=thresholds)
        for threshold, played in zip(thresholds, found[1:], strict=True):
            alone = error_spike(service="chat", threshold=threshold).to_dict(CONTEXT)
            (single,), _ = play(alone, past, start_ms=START_MS, end_ms=END_MS)
            assert summary([single]) == summary([played])
    assert [len(each.incidents) for each in found] == [3, 4, 2]


@pytest.mark.needs("prometheus")
def test_the_real_prometheus_says_the_same(folder, prometheus):
    """The same incidents, to the evaluation, for each threshold; asked for in several pieces."""
    with folder_past(folder) as past:
        expected, _ = play(SPIKE, past, start_ms=START_MS, end_ms=END_MS, thresholds=[0.025, 0.1])
    found, _ = play(SPIKE, Prometheus.at(prometheus), start_ms=START_MS, end_ms=END_MS, thresholds=[0.025, 0.1])
    assert summary(found) == summary(expected)


def test_a_local_backend_that_runs_says_the_same(folder):
    """Through its query API over HTTP."""
    with folder_past(folder) as past:
        expected, _ = play(SPIKE, past, start_ms=START_MS, end_ms=END_MS)
    with backend_past(folder) as past:
        found, _ = play(SPIKE, past, start_ms=START_MS, end_ms=END_MS)
    assert summary(found) == summary(expected)


def test_the_raw_points_of_a_backend_that_runs_are_the_folders(folder):
    """Its query API answers range selectors, as Prometheus' does."""
    selector = '{__name__="workload_googleapis_com:http_server_request_duration_count",job="chat"}'
    window = {"start_ms": START_MS + HOUR_MS, "end_ms": START_MS + 30 * HOUR_MS}

    def rows(past):
        found = past.raw(selector, **window)
        return sorted(
            (each.labels["http_response_status_code"], list(each.times_ms), list(each.values)) for each in found
        )

    with folder_past(folder) as past:
        expected = rows(past)
    with backend_past(folder) as past:
        assert rows(past) == expected
    assert [len(times) for _, times, _ in expected] == [29 * 120 + 1] * 2


def test_a_condition_on_a_filter_is_played_from_cloud_monitorings_series(folder):
    """By the folder and by the REST API of a backend alike; a plain Prometheus says that it cannot."""
    policy = {
        "displayName": "failures",
        "conditions": [
            {
                "displayName": "many",
                "conditionThreshold": {
                    "filter": 'metric.type="workload.googleapis.com/http.server.request.duration" '
                    'resource.type="generic_task" metric.labels.http_response_status_code="503"',
                    "aggregations": [
                        {
                            "alignmentPeriod": "300s",
                            "perSeriesAligner": "ALIGN_DELTA",
                            "crossSeriesReducer": "REDUCE_PERCENTILE_50",
                        }
                    ],
                    "comparison": "COMPARISON_GT",
                    "thresholdValue": 0.4,
                    "duration": "0s",
                },
            }
        ],
    }
    end_ms = START_MS + 12 * HOUR_MS
    with folder_past(folder) as past:
        expected, _ = play(policy, past, start_ms=START_MS, end_ms=end_ms, thresholds=[0.9])
    with backend_past(folder) as past:
        found, values = play(policy, past, start_ms=START_MS, end_ms=end_ms, thresholds=[0.9])
    assert summary(found) == summary(expected)
    assert [each.pages for each in found] == [1, 0]
    assert values.quantile(0.5) == pytest.approx(0.5)
    with pytest.raises(QueryError, match="needs Cloud Monitoring's own series"):
        play(policy, Prometheus.at("http://127.0.0.1:9"), start_ms=START_MS, end_ms=end_ms)


def test_a_server_that_is_not_there_is_told():
    """The place and what to do."""
    with pytest.raises(BackendError, match="does not answer"):
        play(SPIKE, Prometheus.at("http://127.0.0.1:9"), start_ms=START_MS, end_ms=END_MS)


@pytest.mark.parametrize(
    ("condition", "problem"),
    [
        ({"conditionPrometheusQueryLanguage": {"query": "x @ start() > 1"}}, "something else over a range"),
        ({"conditionMatchedLog": {"filter": "severity>=ERROR"}}, "gives none"),
        ({"conditionSql": {"query": "SELECT 1"}}, "only Google runs"),
        ({"conditionPrometheusQueryLanguage": {"query": "sum("}}, "does not parse"),
    ],
)
def test_what_cannot_be_played_says_why(condition, problem):
    """Before anything is asked of a server."""
    policy = {"displayName": "x", "conditions": [condition]}
    with pytest.raises(QueryError, match=problem):
        play(policy, Prometheus.at("http://127.0.0.1:9"), start_ms=START_MS, end_ms=END_MS)


def test_thresholds_nearby_are_around_its_own_or_around_the_values():
    """Half to twice; for a threshold of 0, what values there were."""
    assert nearby(varied_of(SPIKE), None)[0] == 0.025
    policy = {"conditions": [{"conditionPrometheusQueryLanguage": {"query": "x > 0"}}]}
    assert nearby(varied_of(policy), Quantiles()) == [2.0, 3.0]


class Quantiles:
    def quantile(self, share):
        return 3.0 if share > 0.9 else 2.0


@pytest.mark.parametrize(("pages", "incidents"), [(10, 1), (20, 2), (30, 3), (0, 0)])
def test_tuning_proposes_the_most_watchful_threshold_that_pages_seldom_enough(folder, pages, incidents):
    """With three, two, one or no incident in three days; lower thresholds than the proposal page more often."""
    with folder_past(folder) as past:
        tuned = tune(SPIKE, past, start_ms=START_MS, end_ms=END_MS, pages=pages * 1.01)
        assert tuned.proposed.pages == incidents
        check = error_spike(service="chat", threshold=tuned.proposed.threshold).to_dict(CONTEXT)
        (again,), _ = play(check, past, start_ms=START_MS, end_ms=END_MS)
    assert again.pages == incidents
    below = [each for each in tuned.tried if each.threshold < tuned.proposed.threshold]
    assert below[-1].pages > incidents


def test_a_policy_without_a_number_is_not_tuned(folder):
    """And says what could be."""
    policy = {"displayName": "gone", "conditions": [{"conditionPrometheusQueryLanguage": {"query": "absent(x)"}}]}
    with folder_past(folder) as past, pytest.raises(QueryError, match="nothing to tune"):
        tune(policy, past, start_ms=START_MS, end_ms=END_MS, pages=1)


def test_without_values_nothing_is_proposed(folder):
    """A metric that is not there would suit any threshold."""
    elsewhere = error_spike(service="shop").to_dict(CONTEXT)
    with folder_past(folder) as past, pytest.raises(QueryError, match="no values that it could compare"):
        tune(elsewhere, past, start_ms=START_MS, end_ms=END_MS, pages=1)


# --------------------------------------------------------------------------- the commands


def run(command, definitions, folder, *more):
    until = datetime.fromtimestamp(END_S, UTC).isoformat()
    words = [command, "--folder", str(definitions), "--data", str(folder), "--since", "3d", "--until", until, *more]
    done = CliRunner().invoke(app, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_the_text_has_incidents_and_a_table(definitions, folder):
    """And says of a policy without any data that there was nothing to compare."""
    text = run("backtest", definitions, folder)
    assert "fired 3 times, open for 1 h 40 min in all" in text
    assert "2025-10-09 19:02" in text
    assert "0.05       3      30.0    1 h 40 min        58 min  ← now" in text
    assert "token-spike" in text
    assert "no values were found to compare" in text


def test_the_json_has_the_same(definitions, folder):
    """With other thresholds that were asked for."""
    (row,) = json.loads(run("backtest", definitions, folder, "--format", "json", "--threshold", "0.15", "error-spike"))
    assert row["now"]["fired"] == 3
    assert [(each["threshold"], each["fired"]) for each in row["others"]] == [(0.15, 1)]
    assert row["now"]["incidents"][0]["labels"] == {"job": "chat"}


def test_the_page_stands_alone_and_has_a_picture(definitions, folder, tmp_path):
    """Well-formed SVG, a shade for each incident, nothing to load."""
    run("backtest", definitions, folder, "--format", "html", "--output", str(tmp_path / "o.html"), "error-spike")
    page = (tmp_path / "o.html").read_text()
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")
    svg = ET.fromstring(page[page.index("<svg") : page.index("</svg>") + 6])
    names = [each.tag.rpartition("}")[2] for each in svg.iter()]
    assert names.count("rect") == 3
    assert "polyline" in names


def test_route_and_stack_are_those_of_the_settings(folder, tmp_path, monkeypatch):
    """A route that pyproject.toml names spells the queries, so that data of the other one is not found; so do stacks."""
    (tmp_path / "alerts").mkdir()
    (tmp_path / "alerts" / "all.py").write_text(
        "from obskit.alerts import error_spike\nfrom obskit.queries import per_stack\n"
        "spike = error_spike(service='chat', threshold=per_stack({'dev': 0.15}, otherwise=0.05))\n"
    )
    (tmp_path / "pyproject.toml").write_text(
        '[tool.obskit]\nexporters = ["otlp"]\n[tool.obskit.stacks.dev]\nroute = "gcp"\n[tool.obskit.stacks.prod]\n'
    )
    monkeypatch.chdir(tmp_path)

    def fired(command="backtest", *more):
        form = ("--format", "json") if command == "backtest" else ("--json",)
        (row,) = json.loads(run(command, "alerts", folder, *form, *more))
        return row["now"]["fired"] if "now" in row else row["problem"]

    assert fired() == 0
    assert fired("backtest", "--route", "gcp") == 3
    assert fired("backtest", "--stack", "dev") == 1
    assert "no values" in fired("tune")
    with pytest.raises(ConfigError, match=r'has no stack "prd"\. Did you mean "prod"'):
        run("backtest", "alerts", folder, "--stack", "prd")


def test_a_proposal_is_printed(definitions, folder):
    """As text and as JSON; what cannot be tuned does not stand in the way of the others."""
    assert "proposed: > " in run("tune", definitions, folder, "--pages", "12", "error-spike")
    rows = json.loads(run("tune", definitions, folder, "--pages", "12", "--json"))
    assert [row["policy"] for row in rows] == ["error-spike", "latency-p95", "token-spike"]
    assert rows[0]["proposed"]["fired"] == 1
    assert "would not have fired" in rows[2]["problem"]


def test_a_recording_is_played_again_in_a_test(definitions, folder, tmp_path):
    """The raw series of half a day, as the policy reads them; the test's clock begins with them."""
    until = datetime.fromtimestamp(BEGIN_S + 12 * 3600, UTC).isoformat()
    path = tmp_path / "spike.json"
    run("backtest", definitions, folder, "--since", "3h", "--until", until, "--record", str(path), "error-spike")
    test = AlertTest(error_spike(service="chat"), "what happened in the morning").recorded(path)
    # The recording begins an hour and 90 s before the three hours, as far back as the query looks.
    test.is_open("2h4m", until="2h32m30s", within="2m", service="chat").check()


@pytest.mark.needs("prometheus")
def test_a_recording_from_prometheus_is_the_same(definitions, folder, prometheus, tmp_path):
    """Its raw points, through range selectors."""
    until = datetime.fromtimestamp(BEGIN_S + 12 * 3600, UTC).isoformat()
    common = ["--since", "3h", "--until", until, "--folder", str(definitions), "error-spike", "--record"]
    for name, source in (("a", ["--data", str(folder), "--project", "p"]), ("b", ["--prometheus", prometheus])):
        done = CliRunner().invoke(app, ["backtest", *source, *common, str(tmp_path / name)], catch_exceptions=False)
        assert done.exit_code == 0, done.output
    assert (tmp_path / "a").read_text() == (tmp_path / "b").read_text()


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--data", "nowhere"], "is no folder of a local backend"),
        (["--data", "x", "--prometheus", "y"], "name several pasts"),
        (["--data", "x", "--since", "soon"], "is not a duration"),
        (["--data", "x", "--until", "2026-11-01T00:00"], "names no time zone"),
        (["--data", "x", "error-spikes"], 'Did you mean "error-spike"'),
    ],
)
def test_wrong_options_are_told(definitions, words, problem):
    """With the option and the way out."""
    done = CliRunner().invoke(app, ["backtest", "--folder", str(definitions), *words])
    assert done.exit_code == 1
    assert problem in str(done.exception)


def test_lengths_have_two_units():
    """As people say them."""
    lengths = (0, 30_000, 90_000, 3_600_000, 93_784_000)
    assert list(map(shown_length, lengths)) == ["0 s", "30 s", "1 min 30 s", "1 h", "1 d 2 h"]
