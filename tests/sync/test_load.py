from __future__ import annotations

import sys

from obskit.sync.load import check, load, unset_variables


def test_definitions_of_all_files_are_found_once(folders):
    """Each definition is found, and one that another file imports is found once."""
    loaded = load([folders / "alerts", folders / "dashboards"])
    assert loaded.problems == ()
    assert loaded.files == 3
    ids = [found.id for found in loaded.definitions]
    assert len(ids) == len(set(ids)) == 4
    assert ids[0] == "oncall"


def test_loading_leaves_no_modules_behind(folders):
    """Neither the files' modules nor the search path outlive the load."""
    before, path = set(sys.modules), list(sys.path)
    load([folders / "alerts"])
    assert sys.path == path
    assert {name for name in set(sys.modules) - before if name.startswith("alerts")} == set()


def test_each_definition_knows_its_file_and_line(folders, monkeypatch):
    """The source of a definition is the line of the user's file that made it."""
    monkeypatch.chdir(folders)
    sources = {found.id: found.source for found in load([folders / "alerts"]).definitions}
    assert sources["oncall"].endswith("alerts/channels.py:4")
    assert sources["latency-p95"].endswith("alerts/policies.py:5")


def test_every_broken_file_is_a_problem_and_the_others_load(folders):
    """A syntax error, a failing import and an exception are each a problem with file and line."""
    (folders / "alerts" / "broken_syntax.py").write_text("x = (\n")
    (folders / "alerts" / "missing_import.py").write_text("\nimport no_such_module_here\n")
    (folders / "alerts" / "raises.py").write_text("\n\nraise RuntimeError('no config')\n")
    loaded = load([folders / "alerts"])
    places = {problem.place.rpartition("/")[2] for problem in loaded.problems}
    assert places == {"broken_syntax.py:1", "missing_import.py:2", "raises.py:3"}
    assert len(loaded.definitions) == 3


def test_all_problems_of_all_definitions_are_reported_at_once(folders, context):
    """A misspelt field, a bad duration and a query that does not parse are reported together, each with its line."""
    (folders / "alerts" / "bad.py").write_text(
        "from obskit.alerts import AlertPolicy, PromQLCondition, latency_p95\n"
        "a = latency_p95(id='a', threshhold='2s')\n"
        "b = latency_p95(id='b', for_='five minutes')\n"
        "c = AlertPolicy(id='c', display_name='c', conditions=[PromQLCondition(display_name='q', query='sum(rate(x[5m])')])\n"
    )
    problems = check(load([folders / "alerts"]), context)
    text = "\n".join(str(problem) for problem in problems)
    for line in (2, 3, 4):
        assert f"bad.py:{line}" in text
    assert "threshold" in text
    assert "five minutes" in text


def test_two_definitions_of_one_id_are_a_problem(folders):
    """The second definition of an id is named with the place of the first."""
    (folders / "alerts" / "twice.py").write_text("from obskit.alerts import latency_p95\na = latency_p95()\n")
    (problem,) = load([folders / "alerts"]).problems
    assert "same id" in problem.problem
    assert "policies.py:5" in problem.problem


def test_a_folder_that_is_not_there_is_a_problem(tmp_path):
    """A wrong path is a problem and not an empty set of definitions."""
    (problem,) = load([tmp_path / "nowhere"]).problems
    assert "is not a folder" in problem.problem


def test_definitions_of_every_kind_are_found_and_checked(folders, context):
    """An uptime check and two services' SLOs are found, checked, and their variables are told; ids are each kind's own."""
    (folders / "alerts" / "uptime.py").write_text(
        "from obskit.alerts import env\n"
        "from obskit.resources import RatioSLI, ServiceLevelObjective, http_check\n"
        "health = http_check('oncall', url='https://a.example.com', username='u', password=env('PROBE'), period='2m')\n"
        'X = \'metric.type="custom.googleapis.com/x" AND resource.type="global"\'\n'
        "slos = [\n"
        "    ServiceLevelObjective(id='a', service=name, indicator=RatioSLI(bad=X, total=X), goal=0.9, rolling='7d')\n"
        "    for name in ('one', 'two', 'two')\n"
        "]\n"
    )
    loaded = load([folders / "alerts"])
    found = [made.id for made in loaded.definitions if "uptime" in made.source]
    assert found == ["oncall", "a", "a", "a"]
    (twice,) = loaded.problems
    assert twice.problem.startswith("has the same id")
    told = [problem.problem for problem in check(loaded, context)]
    assert "period is 2 min, must be 1, 5, 10 or 15 min" in told
    assert [problem.problem for problem in unset_variables(loaded, context)] == [
        "environment variable PROBE is not set"
    ]


def test_a_webhooks_token_that_is_not_set_is_told_apart(folders, context):
    """As a secret of the environment, which check says is only missing here."""
    (folders / "alerts" / "hook.py").write_text(
        "from obskit.alerts import env, webhook\nhook = webhook('h', url='https://h', token=env('HOOK_TOKEN'))\n"
    )
    (problem,) = unset_variables(load([folders / "alerts"]), context)
    assert problem.problem == "environment variable HOOK_TOKEN is not set"
