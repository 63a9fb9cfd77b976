"""The ready-made policies fire when they should, and stay silent in the nearest case that is harmless.

Each case is judged twice: by the real Prometheus, and by obskit's own engine.
"""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass, field

import pytest

from obskit.alerts import (
    ai_calls_wait,
    ai_circuit_open,
    budget_exceeded,
    budget_warning,
    daily_cost,
    endpoint_down,
    error_spike,
    gemini_rate_limit,
    latency_p95,
    monthly_budget,
    provider_down,
    token_spike,
)
from obskit.catalog import (
    AI_COST,
    AI_GUARD_CIRCUIT,
    AI_GUARD_REFUSED,
    AI_GUARD_WAIT,
    AI_OPERATION_DURATION,
    AI_TOKENS,
    BUDGET_REJECTIONS,
    BUDGET_WARNINGS,
    HTTP_SERVER_DURATION,
    PROVIDER_STATUS,
    Route,
    promql_name,
)
from obskit.engine.policy import Opened, PolicyMachine
from obskit.engine.series import MemorySource, Series
from obskit.queries.context import RenderContext
from obskit.queries.durations import whole_seconds

CONTEXT = RenderContext(project="p")
EVERY = "30s"
START_MS = 1_760_000_400_000  # any instant that is whole in minutes


@dataclass(frozen=True)
class Case:
    """Series with their points, in promtool's notation, and when the alert must fire and be silent."""

    says: str
    policy: object
    series: dict[str, str]
    fires_at: tuple[str, ...] = ()
    silent_at: tuple[str, ...] = ()
    interval: str = EVERY
    labels: dict[str, str] = field(default_factory=dict)


def name_of(metric, suffix=""):
    return promql_name(metric.metric_type(Route.GCP)) + suffix


def requests(values, status="200", job="chat"):
    name = name_of(HTTP_SERVER_DURATION, "_count")
    return {f'{name}{{job="{job}",http_response_status_code="{status}"}}': values}


def durations(fast, slow, job="chat"):
    """Fast requests take at most 0.5 s, slow ones between 2.5 s and 5 s."""
    name = name_of(HTTP_SERVER_DURATION, "_bucket")
    both = f"{fast} {slow}"
    assert both
    return {
        f'{name}{{job="{job}",le="0.5"}}': fast,
        f'{name}{{job="{job}",le="2"}}': fast,
        f'{name}{{job="{job}",le="2.5"}}': fast,
        f'{name}{{job="{job}",le="5"}}': slow,
        f'{name}{{job="{job}",le="+Inf"}}': slow,
    }


def one(metric, values, suffix="", **labels):
    inner = ",".join(f'{key}="{value}"' for key, value in labels.items())
    return {f"{name_of(metric, suffix)}{{{inner}}}": values}


def tokens(values):
    return one(AI_TOKENS, values, job="chat", obskit_token_kind="input")


def refused(values):
    return one(AI_OPERATION_DURATION, values, "_count", job="chat", error_type="429")


def circuit(values, model="flash", task="1"):
    return one(AI_GUARD_CIRCUIT, values, job="chat", gen_ai_request_model=model, task_id=task)


def turned_away(values, model="flash", reason="circuit_open"):
    return one(AI_GUARD_REFUSED, values, job="chat", gen_ai_request_model=model, obskit_reason=reason)


def waits(short, long, priority="interactive"):
    """Short waits last at most 1 s, long ones between 10 s and 20 s."""
    labels = {"job": "chat", "gen_ai_request_model": "flash", "obskit_priority": priority}
    upto = {"1": short, "10": short, "20": long, "+Inf": long}
    return {
        key: values
        for bound, values in upto.items()
        for key in one(AI_GUARD_WAIT, values, "_bucket", **labels, le=bound)
    }


def of_tier(metric, values, tier="guest", **labels):
    return one(metric, values, job="chat", user_tier=tier, obskit_budget_scope="caller", **labels)


def provider(values, task="1", name="gemini"):
    return one(PROVIDER_STATUS, values, job="chat", provider=name, task_id=task)


def passed(values, place):
    name = "monitoring_googleapis_com:uptime_check_check_passed"
    return {f'{name}{{check_id="health",monitored_resource="uptime_url",checker_location="{place}"}}': values}


FLASH = {"gen_ai_request_model": "flash"}
GUEST = {"user_tier": "guest"}

# 30 s apart: 60 requests each. `both` counts all requests, `fast` those that were fast.
CASES = [
    Case(
        "one request in ten is slow for 8 minutes",
        latency_p95(),
        durations(fast="0+60x20 1254+54x16 2124+60x20", slow="0+60x57"),
        fires_at=("17m", "18m"),
        silent_at=("10m", "14m", "26m"),
    ),
    Case(
        "a slow spell of two minutes",
        latency_p95(),
        durations(fast="0+60x20 1254+54x4 1476+60x20", slow="0+60x45"),
        silent_at=("11m", "12m", "13m", "14m", "15m", "16m", "17m", "18m"),
    ),
    Case(
        "three in a hundred are slow for long, which p95 does not see",
        latency_p95(),
        durations(fast="0+58.2x40", slow="0+60x40"),
        silent_at=("10m", "15m", "20m"),
    ),
    Case("no traffic at all", latency_p95(), durations(fast="100x40", slow="100x40"), silent_at=("10m", "20m")),
    Case(
        "one request in ten fails, from the first of the errors on",
        error_spike(),
        requests("0+54x60") | requests("_x19 6+6x20", status="503"),
        fires_at=("12m30s", "15m"),
        silent_at=("9m", "10m"),
        labels={"job": "chat"},
    ),
    Case(
        "a burst of errors that is over at once",
        error_spike(),
        requests("0+60x60") | requests("_x19 100x40", status="500"),
        silent_at=("10m", "10m30s", "11m", "12m", "13m", "14m"),
    ),
    Case(
        "three in a hundred fail for long",
        error_spike(),
        requests("0+97x60") | requests("0+3x60", status="500"),
        silent_at=("5m", "15m", "25m"),
    ),
    Case(
        "the one failed request of a quiet night",
        error_spike(),
        requests("5x60") | requests("_x19 1x40", status="500"),
        silent_at=("10m", "11m", "12m", "13m", "14m"),
    ),
    Case("requests, and none of them fails", error_spike(), requests("0+60x60"), silent_at=("5m", "20m")),
    Case("no traffic", error_spike(), requests("70x60") | requests("9x60", status="500"), silent_at=("5m", "20m")),
    Case(
        "four hundreds are the callers' errors",
        error_spike(),
        requests("0+10x60") | requests("0+90x60", status="404"),
        silent_at=("5m", "20m"),
    ),
    Case(
        "another service fails: only that one fires",
        error_spike(),
        requests("0+60x60") | requests("0+60x60", job="shop") | requests("0+30x60", status="500", job="shop"),
        fires_at=("10m",),
        labels={"job": "shop"},
    ),
    Case(
        "25 refused calls in a minute, the first of their life",
        gemini_rate_limit(),
        refused("_x19 12 25x20"),
        fires_at=("10m", "10m30s", "11m"),
        silent_at=("9m", "14m"),
    ),
    Case(
        "25 refused calls that are all there is, in one export",
        gemini_rate_limit(),
        refused("_x19 25x20"),
        fires_at=("10m", "11m"),
        silent_at=("9m", "13m"),
    ),
    Case(
        "five refused calls a minute, for long",
        gemini_rate_limit(),
        refused("0+2.5x60"),
        silent_at=("5m", "20m", "30m"),
    ),
    Case(
        "hundreds that were refused an hour and more ago",
        gemini_rate_limit(),
        refused("0+50x10 500x180"),
        silent_at=("30m", "70m", "90m"),
    ),
    Case(
        "a day of twice the tokens after an even week",
        token_spike(),
        tokens("0+1000x192 194000+2000x48"),
        interval="1h",
        fires_at=("217h",),
        silent_at=("190h", "200h"),
    ),
    Case(
        "a day of 130 % after an even week",
        token_spike(),
        tokens("0+1000x192 193300+1300x48"),
        interval="1h",
        silent_at=("200h", "217h", "230h"),
    ),
    Case(
        "the second and third day of a young service",
        token_spike(),
        tokens("0+1000x96"),
        interval="1h",
        silent_at=("24h", "30h", "48h", "72h", "90h"),
    ),
    Case("no token since two days", token_spike(), tokens("0+1000x192 192000x48"), interval="1h", silent_at=("217h",)),
    Case(
        "four dollars an hour",
        daily_cost(),
        one(AI_COST, "0+4x60", job="chat"),
        interval="1h",
        fires_at=("24h", "40h"),
        silent_at=("12h", "18h"),
    ),
    Case(
        "three dollars an hour",
        daily_cost(),
        one(AI_COST, "0+3x60", job="chat"),
        interval="1h",
        silent_at=("12h", "24h", "48h"),
    ),
    Case(
        "processes of one minute each that spend ten dollars in it",
        daily_cost(),
        {
            key: value
            for number in range(9)
            for key, value in one(AI_COST, f"_x{120 + number * 120} 10x2", job="chat", task_id=str(number)).items()
        },
        fires_at=("10h",),
        silent_at=("4h", "34h"),
    ),
    Case(
        "a long-lived process that spent much in the days before",
        daily_cost(),
        one(AI_COST, "0+10x48 480+1x48", job="chat"),
        interval="1h",
        silent_at=("80h", "90h"),
    ),
    Case(
        "a circuit opens, is probed, and closes after ten minutes",
        ai_circuit_open(),
        circuit("0x19 2x10 1 2x8 0x20") | turned_away("_x20 3+3x18 57x20"),
        fires_at=("11m30s", "15m", "19m"),
        silent_at=("9m", "10m", "20m30s", "25m"),
        labels=FLASH,
    ),
    Case(
        "a circuit that nobody has asked since the outage",
        ai_circuit_open(),
        circuit("0x19 2x80") | turned_away("_x20 40x79"),
        fires_at=("12m",),
        silent_at=("16m", "30m", "45m"),
        labels=FLASH,
    ),
    Case(
        "calls turned away for their deadline while the circuit is closed",
        ai_circuit_open(),
        circuit("0x60") | turned_away("0+3x60", reason="deadline"),
        silent_at=("5m", "15m", "25m"),
    ),
    Case(
        "one model fails, the one in its place does not",
        ai_circuit_open(),
        circuit("2x60") | circuit("0x60", model="lite") | turned_away("0+3x60"),
        fires_at=("10m", "20m"),
        labels=FLASH,
    ),
    Case(
        "one waiting call in ten waits longer than 10 s, for ten minutes",
        ai_calls_wait(),
        waits(short="0+10x20 209+9x20 390x20", long="0+10x40 400x20"),
        fires_at=("18m30s", "20m"),
        silent_at=("10m", "14m", "27m"),
    ),
    Case(
        "background calls wait as long as they like",
        ai_calls_wait(),
        waits(short="0+1x60", long="0+10x60", priority="background"),
        silent_at=("10m", "20m", "30m"),
    ),
    Case("no call waits", ai_calls_wait(), waits(short="50x60", long="50x60"), silent_at=("10m", "20m")),
    Case(
        "one guest is refused once, the first time in the service's life",
        budget_exceeded(),
        of_tier(BUDGET_REJECTIONS, "_x20 1x40"),
        fires_at=("10m", "12m", "14m30s"),
        silent_at=("9m30s", "16m", "25m"),
        labels=GUEST,
    ),
    Case(
        "guests that were refused hours ago",
        budget_exceeded(),
        of_tier(BUDGET_REJECTIONS, "0+5x10 50x200"),
        silent_at=("15m", "60m", "100m"),
    ),
    Case(
        "guests are refused, an alert of the premium tier does not hear of it",
        budget_exceeded(tier="premium"),
        of_tier(BUDGET_REJECTIONS, "0+5x60") | of_tier(BUDGET_REJECTIONS, "3x60", tier="premium"),
        silent_at=("10m", "20m"),
    ),
    Case(
        "a budget reaches its warning",
        budget_warning(),
        of_tier(BUDGET_WARNINGS, "_x20 1x40", tier="premium"),
        fires_at=("10m", "14m30s"),
        silent_at=("9m30s", "16m", "25m"),
        labels={"user_tier": "premium"},
    ),
    Case(
        "$864 in thirty days, of $1,000",
        monthly_budget(budget_usd=1000),
        one(AI_COST, "0+1.2x800", job="chat"),
        interval="1h",
        fires_at=("720h", "760h"),
        silent_at=("600h", "660h"),
    ),
    Case(
        "$760 in thirty days, of $1,000",
        monthly_budget(budget_usd=1000),
        one(AI_COST, "0+1.055x800", job="chat"),
        interval="1h",
        silent_at=("400h", "720h", "780h"),
    ),
    Case(
        "a provider's health check fails for ten minutes",
        provider_down(),
        provider("1x19 0x19 1x20"),
        fires_at=("11m", "15m", "19m30s"),
        silent_at=("9m30s", "10m", "20m30s", "25m"),
        labels={"provider": "gemini"},
    ),
    Case(
        "one failed check between good ones",
        provider_down(),
        provider("1x19 0 1x40"),
        silent_at=("9m30s", "10m", "10m30s", "11m", "12m", "13m"),
    ),
    Case(
        "one of three processes cannot reach the provider",
        provider_down(),
        provider("1x60") | provider("1x60", task="2") | provider("0x60", task="3"),
        silent_at=("5m", "15m", "29m"),
    ),
    Case(
        "two of three places do not reach the service for ten minutes",
        endpoint_down(check_id="health", window="2m"),
        passed("1x19 0x19 1x20", "usa") | passed("1x19 0x19 1x20", "eur") | passed("1x60", "asia"),
        fires_at=("14m", "19m"),
        silent_at=("9m", "10m", "24m"),
    ),
    Case(
        "one of three places does not reach the service",
        endpoint_down(check_id="health"),
        passed("0x60", "usa") | passed("1x60", "eur") | passed("1x60", "asia"),
        silent_at=("5m", "15m", "25m"),
    ),
]


def each_case(function):
    return pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.policy.id}: {case.says}")(function)


@pytest.mark.needs("prometheus")
@each_case
def test_prometheus_fires_when_it_should_and_only_then(case, tmp_path):
    """The real Prometheus has the alert firing at the times named, and not at the others."""
    (condition,) = case.policy.to_dict(CONTEXT)["conditions"]
    rule = condition["conditionPrometheusQueryLanguage"]
    name = case.policy.id.replace("-", "_")
    rules = {
        "groups": [
            {
                "name": "g",
                "interval": rule["evaluationInterval"],
                "rules": [{"alert": name, "expr": rule["query"], "for": rule["duration"]}],
            }
        ]
    }
    fired = [{"exp_labels": case.labels or ({"job": "chat"} if name == "latency_p95" else {})}]
    test = {
        "rule_files": ["rules.json"],
        "evaluation_interval": rule["evaluationInterval"],
        "tests": [
            {
                "interval": case.interval,
                "input_series": [{"series": key, "values": values} for key, values in case.series.items()],
                "alert_rule_test": [
                    {"eval_time": time, "alertname": name, "exp_alerts": fired} for time in case.fires_at
                ]
                + [{"eval_time": time, "alertname": name, "exp_alerts": []} for time in case.silent_at],
            }
        ],
    }
    # YAML reads JSON.
    (tmp_path / "rules.json").write_text(json.dumps(rules))
    (tmp_path / "test.json").write_text(json.dumps(test))
    done = subprocess.run(
        ["promtool", "test", "rules", "test.json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def points(notation):
    """Return the values of promtool's notation; None is a gap."""
    found = []
    for word in notation.split():
        match = re.fullmatch(r"(_|[\d.]+)(?:\+([\d.]+))?(?:x(\d+))?", word)
        first, step, times = match.groups()
        if first == "_":
            found += [None] * int(times or 1)
            continue
        found += [float(first) + float(step or 0) * i for i in range(int(times or 0) + 1)]
    return found


def source(case):
    step = as_milliseconds(case.interval)
    made = []
    for key, notation in case.series.items():
        name, _, inner = key.partition("{")
        labels = dict(re.findall(r'(\w+)="([^"]*)"', inner)) | {"__name__": name}
        pairs = [(START_MS + i * step, value) for i, value in enumerate(points(notation)) if value is not None]
        made.append(Series(labels=labels, times_ms=[time for time, _ in pairs], values=[value for _, value in pairs]))
    return MemorySource(made)


def as_milliseconds(duration):
    return round(whole_seconds(duration) * 1000)


@each_case
def test_the_engine_fires_when_it_should_and_only_then(case):
    """Obskit's engine has an incident open at the times named, and none at the others."""
    machine = PolicyMachine({"name": "projects/p/alertPolicies/1"} | case.policy.to_dict(CONTEXT))
    series = source(case)
    wanted = {as_milliseconds(time): True for time in case.fires_at} | {
        as_milliseconds(time): False for time in case.silent_at
    }
    opened: set[str] = set()
    for offset in range(0, max(wanted) + 1, machine.interval_ms):
        for event in machine.evaluate(START_MS + offset, series, None):
            (opened.add if isinstance(event, Opened) else opened.discard)(event.incident.id)
        if offset in wanted:
            assert bool(opened) == wanted[offset], f"{offset / 60_000:g} min: {machine.status()}"
