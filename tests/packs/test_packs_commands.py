"""`obskit packs` and `obskit init`: what they write is checked, tested and rendered as a user would."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from obskit.cli import app
from obskit.packs import pack_named
from obskit.packs.registry import pack_names
from obskit.queries.context import RenderContext
from obskit.sync.load import check, load
from obskit.testing import pack_tests

CONTEXT = RenderContext(project="p")


def run(*arguments):
    result = CliRunner().invoke(app, [str(each) for each in arguments])
    assert result.exit_code == 0, result.output
    return result.output


def loaded(folder):
    return load([path for path in (folder / "alerts", folder / "dashboards") if path.is_dir()])


def rendered(definitions):
    ours = [each for each in definitions if each.noun != "channel"]
    return {f"{each.noun} {each.id}": each.to_dict(CONTEXT) for each in ours}


def test_the_list_names_every_pack():
    """One line each, and JSON on demand."""
    assert [line.split()[0] for line in run("packs").splitlines()] == list(pack_names())
    assert [row["name"] for row in json.loads(run("packs", "list", "--json"))] == list(pack_names())


@pytest.mark.parametrize("name", pack_names())
def test_a_pack_is_shown(name):
    """Its dashboards, each alert with whom it tells, and its settings."""
    shown = json.loads(run("packs", "show", name, "--json"))
    objects = pack_named(name).objects()
    assert shown["alerts"] == [
        {"id": each.id, "title": each.display_name, "to": list(each.channels)} for each in objects.alerts
    ]
    text = run("packs", "show", name)
    assert all(each.id in text for each in (*objects.alerts, *objects.dashboards))


@pytest.fixture(scope="module")
def used(tmp_path_factory):
    """A folder with every pack in it."""
    folder = tmp_path_factory.mktemp("used")
    for name in pack_names():
        run("packs", "add", name, "--folder", folder)
    return folder


@pytest.fixture(scope="module")
def expanded(tmp_path_factory):
    """A folder with the definitions of every pack in it."""
    folder = tmp_path_factory.mktemp("expanded")
    for name in pack_names():
        run("packs", "add", name, "--expand", "--folder", folder)
    return folder


def test_every_pack_can_be_added_together(used):
    """All packs in one repository: no problem, no id twice, and what they render to is what the packs make."""
    found = loaded(used)
    assert [str(each) for each in found.problems] == []
    wanted = rendered([each for name in pack_names() for each in pack_named(name).objects().all])
    assert rendered(found.definitions) == wanted


def test_every_pack_can_be_added_as_definitions(expanded):
    """Expanded, a pack says the same without obskit.packs, and names no project."""
    found = loaded(expanded)
    assert [str(each) for each in check(found, CONTEXT) if "is not set" not in each.problem] == []
    wanted = rendered([each for name in pack_names() for each in pack_named(name).objects().all])
    assert rendered(found.definitions) == wanted
    texts = [path.read_text() for path in expanded.rglob("*.py") if path.name != "receivers.py"]
    assert not [text for text in texts if "expanded" in text or "obskit.packs" in text]


def test_what_is_written_is_tidy(used, expanded):
    """It keeps to a formatter's rules, so that it does not change at the first commit."""
    command = [sys.executable, "-m", "ruff", "format", "--check", "--isolated", "--line-length", "120"]
    command += [str(used), str(expanded)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [line for path in used.rglob("*.py") for line in path.read_text().splitlines()]
    assert [line for line in lines if len(line) > 120] == []


def test_adding_again_changes_nothing(tmp_path):
    """A file that exists is left as it is, and said so."""
    run("packs", "add", "cloud-sql", "--folder", tmp_path)
    mine = tmp_path / "alerts" / "cloud_sql.py"
    mine.write_text("# mine\n")
    output = run("packs", "add", "cloud-sql", "--folder", tmp_path)
    assert "left as it is  alerts/cloud_sql.py" in output
    assert mine.read_text() == "# mine\n"


def test_a_pack_may_be_named_as_its_module(tmp_path):
    """The name with underscores is what stands in the import."""
    assert "wrote  alerts/cloud_sql.py" in run("packs", "add", "cloud_sql", "--folder", tmp_path)


def test_the_written_test_says_how_to_leave_a_changed_alert_out(tmp_path):
    """What stands in its docstring is Python that runs, and nothing is left of the alert's cases."""
    run("packs", "add", "cloud-sql", "--folder", tmp_path)
    text = (tmp_path / "alerts" / "test_cloud_sql.py").read_text()
    (line,) = re.findall(r"^    tests = (.+)$", text, flags=re.MULTILINE)
    objects = pack_named("cloud-sql").objects()
    tests = eval(line, {"pack_tests": pack_tests, "objects": objects})
    assert {test.policy_id for test in tests} == {each.id for each in objects.alerts} - {"cloud-sql-storage"}


def test_a_misspelt_pack_is_told():
    """With the nearest name."""
    done = subprocess.run(
        [sys.executable, "-m", "obskit.cli", "packs", "add", "cloud-sqll"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == 'packs: there is no pack "cloud-sqll". Did you mean "cloud-sql"? `obskit packs` lists them.\n'


def test_init_writes_a_set_that_is_checked_and_tested(tmp_path):
    """From nothing to alerts, dashboards, their tests, a workflow and a stack, without a problem."""
    run("init", tmp_path, "--project", "shop-prod")
    found = loaded(tmp_path)
    assert [str(each) for each in found.problems] == []
    assert {each.id for each in found.definitions} >= {"latency-p95", "error-spike", "service", "llm", "pagerduty"}
    assert 'project = "shop-prod"' in (tmp_path / "pyproject.toml").read_text()
    assert "mode: check" in (tmp_path / ".github" / "workflows" / "obskit.yml").read_text()
    command = [sys.executable, "-m", "obskit.cli", "test-alerts", "--require-both"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_init_never_overwrites(tmp_path):
    """What is there stays; a pyproject.toml without a stack gets the table at its end."""
    (tmp_path / "alerts").mkdir()
    (tmp_path / "alerts" / "receivers.py").write_text("receivers = None\n")
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "shop"')
    run("init", tmp_path)
    assert (tmp_path / "alerts" / "receivers.py").read_text() == "receivers = None\n"
    added = (tmp_path / "pyproject.toml").read_text()
    assert added == '[project]\nname = "shop"\n\n[tool.obskit.stacks.prod]\nproject = "my-project"\n'
    before = {path: path.read_text() for path in tmp_path.rglob("*") if path.is_file()}
    assert "wrote" not in run("init", tmp_path)
    assert {path: path.read_text() for path in tmp_path.rglob("*") if path.is_file()} == before
