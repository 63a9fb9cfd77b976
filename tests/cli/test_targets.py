"""Which project commands mean where none is named: the stack's, the settings', or the local backend's own."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from obskit.cli import app
from obskit.errors import ProblemsError
from obskit.local.serve import LocalBackend


@pytest.fixture(scope="module")
def running():
    with LocalBackend(project="here-project", http_port=0, grpc_port=0) as backend:
        yield backend


@pytest.fixture
def repository(running, tmp_path, monkeypatch):
    """A folder with one channel, and settings that name no project."""
    (tmp_path / "alerts").mkdir()
    (tmp_path / "alerts" / "all.py").write_text(
        "from obskit.alerts import email\nmail = email('mail', address='a@example.com')\n"
    )
    monkeypatch.chdir(tmp_path)
    for name in ("OBSKIT_LOCAL_ENDPOINT", "OBSKIT_PROJECT", "GOOGLE_CLOUD_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    for document in running.store.objects.list("notificationChannels"):
        running.store.objects.delete(document["name"])
    return tmp_path


def run(*words: str) -> str:
    done = CliRunner().invoke(app, [*words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.parametrize("address", ["http_url", "grpc_address"])
def test_a_local_backend_says_which_project_is_meant(running, repository, address):
    """Sync, import and rollback go without --project: they take that of the backend, by either of its addresses."""
    there = ("--local", getattr(running, address))
    assert "Applied: 1 writes." in run("sync", *there)
    (made,) = running.store.objects.list("notificationChannels")
    assert made["name"].startswith("projects/here-project/")
    assert "1 objects in 1 files would be written" in run("import", *there, "--owned", "--dry-run")
    assert "1 to delete" in run("rollback", *there)
    assert running.store.objects.list("notificationChannels") == []


def test_the_settings_name_the_project_before_the_backend_does(running, repository, monkeypatch):
    """The option, then the stack's, then the settings'."""
    (repository / "pyproject.toml").write_text('[tool.obskit.stacks.prod]\nproject = "shop-prod"\n')
    there = ("--local", running.http_url, "--dry-run", "--json")
    assert '"project": "shop-prod"' in run("sync", *there, "--stack", "prod")
    assert '"project": "other-one"' in run("sync", *there, "--stack", "prod", "--project", "other-one")
    assert '"project": "here-project"' in run("sync", *there)
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "from-settings")
    assert '"project": "from-settings"' in run("sync", *there)


def test_without_a_backend_and_a_project_the_way_out_is_told(repository):
    """At Google a project has to be named; a local backend that is not there is told, with its address."""
    for words, problem in (
        (["sync"], "no project is named"),
        (["import"], "Name JSON files, give --project"),
        (["rollback"], "no project is named"),
        (["sync", "--local", "http://127.0.0.1:9"], "http://127.0.0.1:9: no local backend answers"),
    ):
        done = CliRunner().invoke(app, words)
        assert isinstance(done.exception, ProblemsError)
        assert problem in str(done.exception)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nosuchthing"], 'there is neither an action nor a pack "nosuchthing". `obskit packs` lists all packs.'),
        (["cloud-sqll"], "Did you mean `obskit packs show cloud-sql`? `obskit packs` lists all packs."),
        (["shwo", "gemini"], "Did you mean `obskit packs show`?"),
        (["gemini"], '"gemini" is a pack, no action. Write `obskit packs show gemini`, or add instead of show.'),
        (["show"], "a pack's name is missing. Write `obskit packs show NAME`; `obskit packs` lists them."),
        (["show", "nosuchthing"], 'there is no pack "nosuchthing". `obskit packs` lists them.'),
        (["show", "gemni"], 'there is no pack "gemni". Did you mean "gemini"? `obskit packs` lists them.'),
    ],
    ids=["unknown", "misspelt-pack", "misspelt-action", "no-action", "no-name", "unknown-show", "misspelt-show"],
)
def test_what_is_no_pack_is_told_with_the_nearest_name_and_the_list(words, told):
    """As a problem with a way out, not as usage of the command line."""
    done = CliRunner().invoke(app, ["packs", *words])
    assert isinstance(done.exception, ProblemsError)
    assert told in str(done.exception)
