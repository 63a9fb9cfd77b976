"""Reports say what was counted, to the last token and cent, and are as committed.

`python tests/reports/test_reports.py` writes the golden files anew; read their diff before committing it.
"""

from __future__ import annotations

import csv
import io
import math
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from obskit import catalog
from obskit.catalog import Route
from obskit.errors import BackendError
from obskit.local.serve import LocalBackend
from obskit.local.store import Descriptor, SeriesKey
from obskit.reports.counting import Counted
from obskit.reports.figures import Counts, make_figures
from obskit.reports.formats import as_csv, as_markdown, as_text
from obskit.reports.make import Request, make
from obskit.reports.pages import as_html
from obskit.reports.sources import local_monitoring

HERE = Path(__file__).parent
GOLDEN = HERE / "golden"
HOUR = 3600
DAY = 24 * HOUR
UNTIL = int(datetime(2026, 10, 20, 12, 0, tzinfo=UTC).timestamp())
FIRST = int(datetime(2026, 9, 25, tzinfo=UTC).timestamp())
PRICES = {
    "gemini-2.5-pro": {"input": 1.25, "cached": 0.3125, "output": 10.0},
    "gemini-2.5-flash": {"input": 0.30, "cached": 0.075, "output": 2.5},
}
CALLS = [  # service, model, tier, route, weight
    ("chat", "gemini-2.5-pro", "premium", "/chat/{session}", 7),
    ("chat", "gemini-2.5-flash", "free", "/chat/{session}", 31),
    ("chat", "gemini-2.5-flash", "", "/search", 5),
    ("worker", "gemini-2.5-pro", "enterprise", "", 3),
    ("worker", "home-made|<b>", "free", "/=cmd()", 2),
]


def label(metric, route, **labels):
    spelled = {metric.label_key(name, route): value for name, value in labels.items() if value}
    return tuple(sorted(spelled.items()))


class Twin:
    """Processes that each live for a day, or a few minutes, and export counters; and the ledger of what they count."""

    def __init__(self, backend, route):
        self.store, self.route, self.ledger = backend.store.metrics, route, Counter()

    def put(self, metric, service, instance, points, **labels):
        named = (
            {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "gcp.gemini"}
            if "http.route" not in metric.label_names
            else {}
        )
        kind = metric.resource_type(self.route)
        task = {"generic_task": "task_id", "prometheus_target": "instance"}[kind]
        resource = (("job", service), ("location", "global"), ("namespace", ""), (task, instance))
        key = SeriesKey(metric.metric_type(self.route), label(metric, self.route, **named, **labels), kind, resource)
        value_type = "INT64" if metric.is_int and self.route is Route.GCP else "DOUBLE"
        descriptor = Descriptor(type=key.metric_type, kind="CUMULATIVE", value_type=value_type)
        start = points[0][0] - 60
        self.store.put(key, descriptor, [(start * 1000, at_s * 1000, value) for at_s, value in points])

    def day(self, day_s, number):
        """One day of calls: a process for each row, which is new each day; a mere three minutes on every third."""
        for row, (service, model, tier, route, weight) in enumerate(CALLS):
            hours = 1 if number % 3 == 0 else 24
            totals, points = Counter(), {}
            for hour in range(hours):
                at_s = day_s + hour * HOUR + 180
                if at_s >= UNTIL:
                    break
                calls = weight * (20 + (number * 7 + hour * 3) % 11)
                grown = {"input": calls * 900, "cached": calls * 411, "output": calls * 77}
                cost = sum(PRICES[model][kind] * count for kind, count in grown.items()) / 1e6 if model in PRICES else 0
                totals.update({**grown, "cost": cost, "calls": 0 if model in PRICES else calls})
                self.ledger.update(
                    {(at_s // DAY, kind, model): value for kind, value in {**grown, "cost": cost}.items()}
                )
                for name, value in totals.items():
                    points.setdefault(name, []).append((at_s, value))
            self._export(points, service, f"{row}-{number}", model, tier, route)

    def _export(self, points, service, instance, model, tier, route):
        if not points:
            return
        of = {"gen_ai.request.model": model, "user.tier": tier}
        for kind in ("input", "cached", "output"):
            self.put(catalog.AI_TOKENS, service, instance, points[kind], **of, **{"obskit.token.kind": kind})
        if model in PRICES:
            self.put(catalog.AI_COST, service, instance, points["cost"], **of)
            self.put(catalog.AI_ROUTE_COST, service, instance, points["cost"], **{"http.route": route})
        else:
            self.put(catalog.AI_UNPRICED_CALLS, service, instance, points["calls"], **of)
        tokens = [
            (at, sum(points[kind][n][1] for kind in ("input", "cached", "output")))
            for n, (at, _) in enumerate(points["input"])
        ]
        self.put(catalog.AI_ROUTE_TOKENS, service, instance, tokens, **{"http.route": route})

    def total(self, kind, start_s, end_s, model=None):
        days = range(start_s // DAY, end_s // DAY)
        return math.fsum(v for (day, k, m), v in self.ledger.items() if k == kind and day in days and m == (model or m))


def filled(route=Route.GCP):
    backend = LocalBackend(project="p", http_port=0, grpc_port=0).start()
    twin = Twin(backend, route)
    for number, day_s in enumerate(range(FIRST, UNTIL, DAY)):
        twin.day(day_s, number)
    return backend, twin


@pytest.fixture(scope="module")
def served():
    backend, twin = filled()
    yield backend, twin
    backend.stop()


def request(**changes):
    given = {"since_s": 7 * DAY, "until_s": UNTIL, "by": ("model", "tier", "service", "route"), "budget_usd": 450.0}
    return Request(**{**given, "own_prices": PRICES, **changes})


def figures(backend, **changes):
    return make(local_monitoring(backend.http_url, "p"), request(**changes))


WRITERS = {"txt": as_text, "md": as_markdown, "csv": as_csv, "html": as_html}


@pytest.mark.parametrize("suffix", WRITERS)
def test_a_report_is_as_committed(served, suffix):
    """Every format of the same week, against its golden file."""
    made = WRITERS[suffix](figures(served[0]))
    assert made == (GOLDEN / f"week.{suffix}").read_text()


def test_the_figures_equal_the_ledger(served):
    """Tokens are equal, dollars to the last bit that addition leaves; this week, the one before, and the month."""
    backend, twin = served
    end = UNTIL // DAY * DAY
    found = figures(backend, until_s=end)
    week, before = (end - 7 * DAY, end), (end - 14 * DAY, end - 7 * DAY)
    for kind in ("input", "cached", "output"):
        assert found.kinds[kind] == twin.total(kind, *week)
    assert found.total.tokens == sum(found.kinds.values())
    assert found.tokens_before == sum(twin.total(kind, *before) for kind in ("input", "cached", "output"))
    assert found.total.cost_usd == pytest.approx(twin.total("cost", *week), rel=1e-12)
    assert found.total.cost_before_usd == pytest.approx(twin.total("cost", *before), rel=1e-12)
    month = int(datetime(2026, 10, 1, tzinfo=UTC).timestamp())
    assert found.projection.spent_usd == pytest.approx(twin.total("cost", month, end), rel=1e-12)
    saved = {model: row["input"] - row["cached"] for model, row in PRICES.items()}
    cached = {model: twin.total("cached", *week, model) for model in PRICES}
    assert found.savings_usd == pytest.approx(sum(saved[model] * cached[model] for model in saved) / 1e6)
    assert found.unpriced_cached == twin.total("cached", *week, "home-made|<b>")
    for lines in found.breakdowns.values():
        assert math.fsum(line.cost_usd for line in lines) == pytest.approx(found.total.cost_usd)
        assert sum(line.tokens for line in lines) == found.total.tokens


def test_the_other_export_route_gives_the_same():
    """What came by OTLP is reported alike."""
    backend, _ = filled(Route.OTLP)
    try:
        assert as_text(figures(backend, route=Route.OTLP)) == (GOLDEN / "week.txt").read_text()
    finally:
        backend.stop()


def test_nothing_at_all_is_a_report_too():
    """A project without AI calls has zeros, in every format."""
    with LocalBackend(project="p", http_port=0, grpc_port=0) as backend:
        found = figures(backend)
        assert (found.total.cost_usd, found.total.tokens, found.projection.expected_usd) == (0.0, 0, 0.0)
        for write in WRITERS.values():
            assert write(found)


def test_a_backend_that_is_not_there_is_told():
    """The error names the address and the way out."""
    with pytest.raises(BackendError, match="does not answer"):
        make(local_monitoring("http://127.0.0.1:9", "p"), request())


class Page:
    def __init__(self, text):
        self.text = text

    def charts(self):
        return [ET.fromstring(found) for found in re.findall(r"<svg.*?</svg>", self.text, re.DOTALL)]


def test_the_page_stands_alone(served):
    """No address, no script, nothing loaded; charts are well-formed; what a label says is text."""
    page = Page(as_html(figures(served[0])))
    assert not re.search(r"https?:|<script|<link|<img|@import|url\(", page.text)
    assert "<b>" not in re.sub(r"<b>\$|<b>\d", "", page.text)
    assert len(page.charts()) >= 4
    assert len(page.charts()[0].findall("rect")) == 8, "a bar for each day that the week touches"
    assert len(page.text) < 60_000


def test_csv_cannot_run_formulas_and_has_every_digit(served):
    """A name that a spreadsheet would calculate is quoted; numbers are unrounded."""
    found = figures(served[0])
    rows = list(csv.DictReader(io.StringIO(as_csv(found))))
    assert not [row for row in rows if row["name"][:1] in "=+-@"]
    (total,) = [row for row in rows if row["section"] == "total"]
    assert (float(total["cost_usd"]), int(total["tokens"])) == (found.total.cost_usd, found.total.tokens)


def daily(*values):
    begin = int(datetime(2026, 11, 1, tzinfo=UTC).timestamp())
    return Counts(cost=[Counted(labels={}, by_hour={begin + n * DAY: value for n, value in enumerate(values)})]), begin


def projected(*values, days):
    counts, begin = daily(*values)
    now = begin + days * DAY
    return make_figures(counts, start_s=now - DAY, end_s=now, now_s=now, by=(), saving=lambda *_: 0.0, budget_usd=100.0)


def test_the_projection_follows_the_days():
    """Even days give the month without a range around it; uneven ones a range; two days none at all."""
    even = projected(*[2.0] * 10, days=10)
    assert (even.projection.expected_usd, even.projection.low_usd, even.projection.high_usd) == (60.0, 60.0, 60.0)
    assert (even.budget.used, even.budget.expected) == (0.2, 0.6)
    uneven = projected(*[1.0, 3.0] * 5, days=10).projection
    assert uneven.expected_usd == 60.0
    assert 20.0 < uneven.low_usd < 60.0 < uneven.high_usd < 100.0
    assert projected(2.0, 2.0, days=2).projection.low_usd is None


@pytest.fixture(scope="module")
def cli(tmp_path_factory):
    folder = tmp_path_factory.mktemp("priced")
    rows = (
        f'"{model}" = {{ {", ".join(f"{kind} = {price}" for kind, price in row.items())} }}'
        for model, row in PRICES.items()
    )
    (folder / "pyproject.toml").write_text("\n".join(["[tool.obskit.prices]", *rows]))
    code = "import sys; from obskit.cli import main; sys.argv[0] = 'obskit'; main()"

    def run(*arguments):
        command = [sys.executable, "-c", code, "report", *arguments]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=60, check=False, cwd=folder, env={"PATH": ""}
        )

    return run


def test_the_command_writes_what_was_asked(served, cli, tmp_path):
    """The command's text is the golden one, and the page goes to a file."""
    base = ("--local", served[0].http_url, "--until", "2026-10-20T12:00Z", "--budget", "450")
    done = cli(*base)
    assert (done.returncode, done.stdout) == (0, (GOLDEN / "week.txt").read_text()), done.stderr
    page = tmp_path / "week.html"
    assert cli(*base, "--format", "html", "--output", str(page)).stdout == ""
    assert page.read_text() == (GOLDEN / "week.html").read_text()
    short = cli(*base, "--by", "tier", "--since", "1d", "--format", "md").stdout
    assert "## By tier" in short
    assert "## By model" not in short


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--since", "soon"), "Write for example 7d"),
        (("--since", "90m"), "whole hours"),
        (("--by", "user"), "none of model, tier, service, route"),
        (("--until", "2026-10-20T12:00"), "names no time zone"),
    ],
)
def test_wrong_options_are_told(served, cli, arguments, said):
    """Exit code 1, and what to write instead."""
    done = cli("--local", served[0].http_url, *arguments)
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_the_commands_of_the_page_run(served, cli):
    """Every `obskit report` of docs/reports.md runs against a local backend."""
    page = (HERE.parents[1] / "docs" / "reports.md").read_text()
    lines = re.findall(r"^obskit report(.*)$", page, re.MULTILINE)
    assert len(lines) >= 3
    for line in lines:
        arguments = re.sub(r"--(project|local|output) \S+", "", line.partition("#")[0].partition(">")[0]).split()
        done = cli("--local", served[0].http_url, *arguments)
        assert done.returncode == 0, f"{line}: {done.stderr}"


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    running, _ = filled()
    for suffix, write in WRITERS.items():
        (GOLDEN / f"week.{suffix}").write_text(write(figures(running)))
    running.stop()
