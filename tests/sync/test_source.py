"""Definitions as Python: short, formatted, and the same again when executed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

import pytest

from obskit.alerts import AlertPolicy, PromQLCondition
from obskit.catalog import HTTP_SERVER_DURATION
from obskit.dashboards import Dashboard, DataSet, IncidentList, Row, Scorecard, Text, XyChart
from obskit.errors import DefinitionError
from obskit.queries import env, per_stack, rate
from obskit.queries.context import RenderContext
from obskit.sync.source import expression, module


class Flavour(StrEnum):
    SWEET = "sweet"
    SOUR = "sour"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cake:
    flavour: Flavour = Flavour.SWEET
    name: str
    layers: int = 1
    inside: tuple[Cake, ...] = ()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Cake(name="plain"), 'Cake(name="plain")'),
        (Cake(name="x", flavour=Flavour.SOUR, layers=3), 'Cake(name="x", flavour="sour", layers=3)'),
        (timedelta(minutes=90), '"90m"'),
        ((0.0, 100.0), "(0, 100)"),
        ((1.5,), "[1.5]"),
        (("a", "b"), '["a", "b"]'),
        ({"a": None, "b": True}, '{"a": None, "b": True}'),
        ('say "no"', "'say \"no\"'"),
        ("it's", '"it\'s"'),
        ("a\\b\n\tc\x07 é", '"a\\\\b\\n\\tc\\x07 é"'),
        (env("TOKEN", default="x"), 'env("TOKEN", default="x")'),
        (XyChart(title="t", data=["up"], unit="s"), 'XyChart(title="t", data=["up"], unit="s")'),
        (DataSet(query="up", period="5m"), 'DataSet(query="up", period="5m")'),
        (Scorecard(title="t", query="up", gauge=(0, 1)), 'Scorecard(title="t", query="up", gauge=(0, 1))'),
    ],
    ids=range(14),
)
def test_a_value_is_what_a_person_would_write(value, text):
    """Defaults are left out, the name comes first, units are words, and texts have double quotes where they can."""
    assert expression(value) == text


def test_what_is_too_long_is_broken_as_ruff_breaks_it():
    """One argument a line with a trailing comma; texts after their line ends and at blanks."""
    words = " ".join(["word"] * 30)
    cake = Cake(name=f"first line\n{words}", inside=(Cake(name="a"), Cake(name="b")))
    assert expression(cake) == (
        "Cake(\n"
        "    name=(\n"
        '        "first line\\n"\n'
        '        "' + "word " * 22 + '"\n'
        '        "' + " ".join(["word"] * 8) + '"\n'
        "    ),\n"
        '    inside=[Cake(name="a"), Cake(name="b")],\n'
        ")"
    )


def test_a_text_without_blanks_stays_in_one_piece():
    """Nothing is broken within a word, and blanks at a line's beginning are no place to break."""
    assert expression("x" * 200) == '"' + "x" * 200 + '"'
    assert expression("    " + "y" * 200) == '"    ' + "y" * 200 + '"'


def test_definitions_that_name_each_other_stay_so():
    """A policy that a dashboard lists is one variable, written before the dashboard."""
    policy = AlertPolicy(id="slow", conditions=[PromQLCondition(query="up == 0")])
    dashboard = Dashboard(id="class", rows=[Row(widgets=[IncidentList(policies=[policy]), Text(content="x")])])
    text = module([dashboard, policy], doc="Mine.")
    assert text == (
        '"""Mine."""\n\n'
        "from __future__ import annotations\n\n"
        "from obskit.alerts import AlertPolicy, PromQLCondition\n"
        "from obskit.dashboards import Dashboard, IncidentList, Row, Text\n\n"
        'slow = AlertPolicy(id="slow", conditions=[PromQLCondition(query="up == 0")])\n\n'
        'class_dashboard = Dashboard(id="class", rows=[Row(widgets=[IncidentList(policies=[slow]), Text(content="x")])])\n'
    )
    names = {}
    exec(text, names)  # our own text
    assert names["class_dashboard"] == dashboard
    assert names["class_dashboard"].to_dict(RenderContext(project="p")) == dashboard.to_dict(RenderContext(project="p"))


def test_a_query_that_has_no_text_yet_is_refused():
    """What was built from the catalog depends on the export route; its own source says it better."""
    chart = XyChart(title="t", data=[rate(HTTP_SERVER_DURATION, window="5m")])
    with pytest.raises(DefinitionError, match="built from the catalog"):
        expression(chart)


def test_what_differs_between_stacks_is_refused():
    """One of its forms would be written as if it were all."""
    card = Scorecard(title="t", query="up", thresholds=[per_stack({"dev": 1, "prod": 2})])
    with pytest.raises(DefinitionError, match="differs from stack to stack"):
        expression(card)
    assert expression(card.for_stack("prod")).endswith("thresholds=[2])")


def test_what_has_no_python_form_is_refused():
    """An object of another kind is named, not written wrongly."""
    with pytest.raises(DefinitionError, match="a object has no Python form"):
        expression({"a": object()})
