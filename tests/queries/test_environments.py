"""Stacks in pyproject.toml."""

from __future__ import annotations

import pytest

from obskit.catalog import AI_COST, Route
from obskit.config import resolve
from obskit.errors import ConfigError
from obskit.queries import latest, per_stack, promql
from obskit.queries.environments import declared_environments, environment

STACKS = """
[tool.obskit]
exporters = ["otlp"]
[tool.obskit.stacks.dev]
project = "shop-dev"
route = "gcp"
[tool.obskit.stacks.prod]
project = "shop-prod"
resource_type = "k8s_container"
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "pyproject.toml").write_text(STACKS)
    return tmp_path


def test_each_stack_has_its_project_and_route(folder):
    """Stacks are read in their order; a route that is not given is that of the app's own exporters."""
    dev, prod = declared_environments(folder)

    assert (dev.stack, dev.project, dev.route) == ("dev", "shop-dev", Route.GCP)
    assert (prod.stack, prod.project, prod.route) == ("prod", "shop-prod", Route.OTLP)


def test_every_query_follows_the_route_and_the_stack(folder):
    """One definition is spelled for the route of the stack, and has its threshold."""
    query = latest(AI_COST) > per_stack({"dev": 10, "prod": 75})

    texts = [query.render(each.context()) for each in declared_environments(folder)]

    assert texts == [
        "sum(workload_googleapis_com:obskit_gen_ai_cost) > 10",
        'sum(obskit_gen_ai_cost{monitored_resource="k8s_container"}) > 75',
    ]


def test_what_is_given_wins(folder):
    """Options of the command line are stronger than the table."""
    found = environment("dev", project="shop-test", route=Route.OTLP, directory=folder)

    assert (found.project, found.route, found.stack) == ("shop-test", Route.OTLP, "dev")


def test_a_stack_that_is_not_declared_is_a_problem(folder):
    """A slip in --stack would make a second set of objects."""
    with pytest.raises(ConfigError, match=r'has no stack "prd".*Did you mean "prod"'):
        environment("prd", directory=folder)


def test_without_a_table_any_stack_may_be_named(tmp_path):
    """Nothing needs to be declared for one stack."""
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'x'\n")

    assert declared_environments(tmp_path) == ()
    assert environment(directory=tmp_path).stack == "default"
    assert environment("night", directory=tmp_path).stack == "night"


def test_every_problem_of_the_table_is_told(tmp_path):
    """Unknown fields, wrong types, routes and projects show at once."""
    (tmp_path / "pyproject.toml").write_text(
        "[tool.obskit.stacks.dev]\nprojct = 'shop-dev'\nroute = 'http'\n"
        "[tool.obskit.stacks.prod]\nproject = 'My Shop'\nresource_type = 3\n"
        "[tool.obskit.stacks.X]\n"
    )

    with pytest.raises(ConfigError) as raised:
        declared_environments(tmp_path)

    assert [each.problem for each in raised.value.problems] == [
        'has an unknown field "projct"',
        'has route "http", which is none',
        'has project "My Shop", which is no project id',
        "has resource_type = 3, which is not a text",
        "is no name of a stack",
    ]
    assert 'Did you mean "project"' in raised.value.problems[0].way_out


def test_the_apps_settings_take_no_offence(folder):
    """The table of stacks is no unknown setting of the app."""
    assert resolve({}, environ={}, directory=folder).problems == ()


def test_a_promql_text_may_differ_too(folder):
    """Where thresholds are not enough, the whole text differs."""
    query = promql(per_stack({"dev": "up == 0", "prod": "avg(up) < 0.9"}))

    assert [query.render(each.context()) for each in declared_environments(folder)] == ["up == 0", "avg(up) < 0.9"]
