from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest


@pytest.fixture
def obskit(tmp_path):
    """Runs the command line in a folder of its own, as a user would."""

    def run(*arguments, **environ):
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "NO_COLOR": "1", **environ}
        return subprocess.run(
            [sys.executable, "-c", "from obskit.cli import main; main()", *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            env=environment,
        )

    return run


def test_all_problems_are_printed_with_file_and_line(obskit, tmp_path):
    """Wrong fields, durations and queries of several files come out together; the exit code is 1."""
    (tmp_path / "alerts").mkdir()
    (tmp_path / "dashboards").mkdir()
    (tmp_path / "alerts" / "one.py").write_text(
        "from obskit.alerts import AlertPolicy, PromQLCondition\n"
        "a = AlertPolicy(id='a', display_name='A', severty='ERROR', conditions=[\n"
        "    PromQLCondition(display_name='c', query='sum(rate(x[5m])', duration='5 parsecs')])\n"
    )
    (tmp_path / "dashboards" / "two.py").write_text(
        "from obskit.dashboards import Dashboard, XyChart\nd = Dashboard(id='d', display_nam='D', rows=[])\n"
    )
    done = obskit("check")
    assert done.returncode == 1
    assert done.stdout == ""
    for expected in (
        "alerts/one.py:2",
        'Did you mean "severity"',
        "alerts/one.py:3",
        "5 parsecs",
        "dashboards/two.py:2",
        'Did you mean "display_name"',
    ):
        assert expected in done.stderr


def test_the_json_form_has_the_three_parts_of_each_problem(obskit, tmp_path):
    """--json prints one document with place, problem and way_out."""
    (tmp_path / "alerts").mkdir()
    (tmp_path / "alerts" / "one.py").write_text("import no_such_module\n")
    done = obskit("check", "--json")
    (problem,) = json.loads(done.stdout)["problems"]
    assert done.returncode == 1
    assert problem["place"] == "alerts/one.py:1"
    assert set(problem) == {"place", "problem", "way_out"}


def test_a_secret_that_is_not_set_is_a_note_to_check_and_a_problem_to_sync(obskit, tmp_path):
    """A pull request's run has no secrets: check passes and names the variable, sync refuses to go on without it."""
    (tmp_path / "alerts").mkdir()
    (tmp_path / "alerts" / "one.py").write_text(
        "from obskit.alerts import env, webhook\noncall = webhook('oncall', url=env('ONCALL_URL'))\n"
    )
    done = obskit("check")
    assert done.returncode == 0, done.stderr
    assert "note: alerts/one.py:2" in done.stdout
    assert done.stdout.endswith("1 file, 1 definition, 0 problems\n")
    (note,) = json.loads(obskit("check", "--json").stdout)["notes"]
    assert note["problem"] == "environment variable ONCALL_URL is not set"
    refused = obskit("sync", "--project", "p", "--local", "127.0.0.1:9")
    assert (refused.returncode, "ONCALL_URL is not set" in refused.stderr) == (1, True)


def test_nothing_to_check_is_a_failure(obskit):
    """In a folder without definitions the command says so instead of passing."""
    done = obskit("check")
    assert done.returncode == 1
    assert "has neither a folder alerts nor a folder dashboards" in done.stderr


def test_a_sync_without_a_project_or_without_definitions_writes_nothing_and_fails(obskit, tmp_path):
    """No project, and an empty folder, are each a clear error with exit code 1."""
    (tmp_path / "alerts").mkdir()
    done = obskit("sync-alerts")
    assert (done.returncode, "no project is named" in done.stderr) == (1, True)
    assert "Traceback" not in done.stderr


def test_a_backend_that_is_not_there_is_a_clear_error(obskit, tmp_path):
    """An unreachable backend ends the command with its address and no traceback."""
    (tmp_path / "alerts").mkdir()
    (tmp_path / "alerts" / "one.py").write_text("from obskit.alerts import latency_p95\na = latency_p95()\n")
    done = obskit("sync-alerts", "--local", "127.0.0.1:9", "--project", "p")
    assert done.returncode == 1
    assert "127.0.0.1:9" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_sync_needs_only_the_folders_that_there_are_unless_it_prunes(obskit, tmp_path):
    """With alerts/ alone, sync goes as far as the backend; with --prune the missing dashboards/ is an error."""
    (tmp_path / "alerts").mkdir()
    (tmp_path / "alerts" / "one.py").write_text(
        "from obskit.alerts import webhook\noncall = webhook('oncall', url='https://hooks.example.com/x')\n"
    )
    arguments = ("sync", "--project", "p", "--local", "127.0.0.1:9")
    done = obskit(*arguments)
    assert (done.returncode, "it does not answer" in done.stderr) == (1, True), done.stderr
    pruned = obskit(*arguments, "--prune")
    assert (pruned.returncode, "dashboards: is not a folder" in pruned.stderr) == (1, True)


DOUBTFUL = """\
from obskit.alerts import AlertPolicy, PromQLCondition, env, webhook

oncall = webhook("oncall", url=env("ONCALL_URL"))
half = AlertPolicy(id="half", conditions=PromQLCondition(query="up >= 50 %"))
"""


def test_github_gets_an_error_at_each_problem_and_a_notice_at_each_note(obskit, tmp_path):
    """Workflow commands on stdout, escaped, with paths from the root of the checkout; the text on stderr, exit code 1."""
    folder = tmp_path / "a, b" / "alerts"
    folder.mkdir(parents=True)
    (folder / "one.py").write_text(DOUBTFUL)
    (folder / "two.py").write_text("raise ValueError('50 %\\n::error::forged')\n")
    done = obskit("check", "a, b/alerts", "--format", "github", GITHUB_WORKSPACE=str(tmp_path))
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert [line.partition(",title")[0] for line in lines] == [
        "::error file=a%2C b/alerts/two.py,line=1",
        "::error file=a%2C b/alerts/one.py,line=4",
        "::notice file=a%2C b/alerts/one.py,line=3",
    ]
    assert "50 %25%0A::error::forged" in lines[0]
    assert "note: a, b/alerts/one.py:3" in done.stderr
    assert "2 files, 2 definitions, 2 problems" in done.stderr


def test_gitlab_gets_a_code_quality_report_whose_fingerprints_survive_moved_lines(obskit, tmp_path):
    """Each entry has a place and a fingerprint of its own, the same one when the definition stands some lines further down."""
    (tmp_path / "alerts").mkdir()
    file = tmp_path / "alerts" / "one.py"
    same = "AlertPolicy(conditions=PromQLCondition(query='up >'))\n"
    file.write_text(f"{DOUBTFUL}x = {same}y = {same}")
    done = obskit("check", "--format", "gitlab")
    before = json.loads(done.stdout)
    assert (done.returncode, len(before)) == (1, len({each["fingerprint"] for each in before}))
    assert {each["severity"] for each in before} == {"critical", "info"}
    assert {"path": "alerts/one.py", "lines": {"begin": 4}} in [each["location"] for each in before]
    file.write_text("\n\n" + file.read_text())
    after = json.loads(obskit("check", "--format", "gitlab").stdout)
    assert {"path": "alerts/one.py", "lines": {"begin": 6}} in [each["location"] for each in after]
    assert [each["fingerprint"] for each in after] == [each["fingerprint"] for each in before]


def test_a_check_that_has_nothing_to_read_is_annotated_too(obskit, tmp_path):
    """A wrong directory is one error without a line; GitLab's report is JSON all the same."""
    done = obskit("check", "--format", "github")
    assert (done.returncode, done.stdout.startswith("::error title=obskit::")) == (1, True)
    (entry,) = json.loads(obskit("check", "--format", "gitlab").stdout)
    assert "neither a folder alerts nor a folder dashboards" in entry["description"]


def test_without_a_problem_only_ci_gets_its_formats(obskit, tmp_path):
    """No annotation, an empty report, and exit code 0; --json is --format json."""
    (tmp_path / "alerts").mkdir()
    (tmp_path / "alerts" / "one.py").write_text(
        "from obskit.alerts import email\nmail = email('mail', address='a@b.com')\n"
    )
    told = {form: obskit("check", "--format", form) for form in ("text", "json", "github", "gitlab")}
    assert {form: done.returncode for form, done in told.items()} == dict.fromkeys(told, 0)
    assert told["text"].stdout == "1 file, 1 definition, 0 problems\n"
    assert told["json"].stdout == obskit("check", "--json").stdout
    assert (told["github"].stdout, json.loads(told["gitlab"].stdout)) == ("", [])
