"""The composite action, step by step as a runner takes it, with a GitHub on loopback and the local backend."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from obskit.packs import pack_named
from obskit.packs.files import WORKFLOW, starting_files

ACTION = Path(__file__).resolve().parents[2] / "ci" / "github" / "action.yml"


@pytest.fixture(scope="module")
def action():
    return yaml.safe_load(ACTION.read_text())


class Runner:
    """Runs the action's bash steps; those that use other actions are only looked at."""

    def __init__(self, action, job, forge, fill) -> None:
        self.action, self.job, self.forge, self.fill = action, job, forge, fill

    def run(self, event="pull_request", ref="7/merge", **inputs):
        """Return the result of each bash step and the outputs of all."""
        given = {name: str(each.get("default", "")) for name, each in self.action["inputs"].items()}
        given |= {"local": self.job.backend.grpc_address, "project": "shop", "requirement": "", "github-token": "t0k3n"}
        given |= {name.replace("_", "-"): value for name, value in inputs.items()}
        values = {f"inputs.{name}": value for name, value in given.items()}
        values |= {"github.event_name": event, "github.ref_name": ref, "github.event.repository.default_branch": "main"}
        output, summary = self.job.temp / "output", self.job.temp / "summary"
        output.write_text("")
        summary.write_text("")
        environ = {
            "GITHUB_OUTPUT": str(output),
            "GITHUB_STEP_SUMMARY": str(summary),
            "GITHUB_REPOSITORY": "me/shop",
            "GITHUB_WORKSPACE": str(self.job.folder),
            "GITHUB_REF": f"refs/pull/{ref}" if event == "pull_request" else f"refs/heads/{ref}",
            "GITHUB_API_URL": self.forge.url,
        }
        results, outputs = {}, {}
        for step in self.action["runs"]["steps"]:
            if "run" not in step or not self.wanted(step.get("if"), values):
                continue
            assert step["shell"] == "bash"
            assert "${{" not in step["run"], "inputs reach scripts through the environment only"
            own = {name: self.fill(str(value), values) for name, value in step.get("env", {}).items()}
            folder = self.job.folder / self.fill(step.get("working-directory", "."), values)
            done = self.job.bash(step["run"], environ | own, cwd=folder)
            results[step["name"]] = done
            outputs |= dict(line.split("=", 1) for line in output.read_text().splitlines())
            if "id" in step:
                values |= {f"steps.{step['id']}.outputs.{name}": value for name, value in outputs.items()}
            output.write_text("")
            if done.returncode:
                break
        return results, outputs

    def wanted(self, condition, values):
        if condition is None:
            return True
        parts = [part.split() for part in condition.split("&&")]
        signs = {"==": lambda a, b: a == b, "!=": lambda a, b: a != b}
        return all(signs[sign](values.get(name, ""), other.strip("'")) for name, sign, other in parts)


@pytest.fixture
def runner(action, job, forge, fill):
    return Runner(action, job, forge, fill)


def test_the_action_is_what_github_expects(action):
    """Names, inputs with a description, composite steps; identity comes from federation, no key is asked for."""
    assert action["runs"]["using"] == "composite"
    assert all(each["description"] for each in action["inputs"].values())
    uses = [step["uses"] for step in action["runs"]["steps"] if "uses" in step]
    assert uses == ["actions/setup-python@v5", "google-github-actions/auth@v2"]
    auth = next(step for step in action["runs"]["steps"] if step.get("uses", "").startswith("google-github-actions"))
    assert set(auth["with"]) == {"workload_identity_provider", "service_account"}
    assert not any("key" in name or "credential" in name for name in action["inputs"])


def test_a_pull_request_gets_the_plan_as_one_comment_and_nothing_is_written(runner, shop, ci_backend):
    """A second push replaces the comment; the plan is also the job's summary."""
    results, outputs = runner.run()
    assert {name: done.returncode for name, done in results.items()} == {
        "Check": 0,
        "Plan or apply": 0,
        "Comment": 0,
        "Result": 0,
    }, results
    assert outputs == {"mode": "plan", "changes": "true", "status": "0"}
    (comment,) = runner.forge.comments
    assert "latency-p95" in comment["body"]
    assert "2 to create" in comment["body"]
    assert comment["body"].partition("-->")[2].strip() in (runner.job.temp / "summary").read_text()
    assert runner.forge.calls[-1] == ("POST", "/repos/me/shop/issues/7/comments")
    file = shop / "alerts" / "all.py"
    file.write_text(file.read_text().replace("slow = latency_p95(channels=[mail])\n", ""))
    runner.run()
    (comment,) = runner.forge.comments
    assert "1 to create" in comment["body"]
    assert runner.forge.calls[-1] == ("PATCH", "/repos/me/shop/issues/comments/1")
    assert ci_backend.store.objects.list("alertPolicies") == []


def test_a_push_to_the_default_branch_applies(runner, ci_backend):
    """And a second one has nothing left to do; no comment is posted."""
    results, outputs = runner.run(event="push", ref="main")
    assert outputs["mode"] == "apply"
    assert "Applied: 2 writes." in results["Plan or apply"].stdout
    assert len(ci_backend.store.objects.list("alertPolicies")) == 1
    _, outputs = runner.run(event="push", ref="main")
    assert outputs["changes"] == "false"
    assert runner.forge.comments == []


def test_another_branch_is_only_planned(runner, ci_backend):
    """Unless it is told to apply."""
    _, outputs = runner.run(event="push", ref="feature")
    assert outputs["mode"] == "plan"
    assert ci_backend.store.objects.list("alertPolicies") == []


def test_a_definition_with_a_problem_fails_the_job_after_the_comment_has_told_it(runner, shop):
    """The comment has what `obskit check` says, and the line is annotated."""
    (shop / "alerts" / "bad.py").write_text(
        'from obskit.alerts import AlertPolicy, PromQLCondition\nx = AlertPolicy(id="x", conditions=PromQLCondition(query="up ="))\n'
    )
    results, outputs = runner.run()
    assert outputs["status"] == "1"
    assert results["Result"].returncode == 1
    (comment,) = runner.forge.comments
    assert "### The plan failed" in comment["body"]
    assert "alerts/bad.py:2" in comment["body"]
    assert "does not parse" in comment["body"]
    assert results["Check"].stdout.startswith("::error file=alerts/bad.py,line=2,title=obskit::alerts/bad.py:2: ")


def test_a_check_needs_no_project_and_no_identity(runner, shop, ci_backend):
    """In mode check nothing is planned and no comment is posted; a folder's problems stand at their place in the repository."""
    (shop / "infra" / "alerts").mkdir(parents=True)
    bad = shop / "infra" / "alerts" / "bad.py"
    bad.write_text("from obskit.alerts import email\nmail = email('mail', address='100 %')\n")
    results, outputs = runner.run(mode="check", project="", working_directory="infra")
    assert {name: done.returncode for name, done in results.items()} == {"Check": 1}
    assert results["Check"].stdout.startswith("::error file=infra/alerts/bad.py,line=2,title=obskit::")
    assert "100 %25" in results["Check"].stdout
    bad.write_text("from obskit.alerts import email\nmail = email('mail', address='a@example.com')\n")
    results, outputs = runner.run(mode="check", project="", working_directory="infra")
    assert {name: done.returncode for name, done in results.items()} == {"Check": 0, "Result": 0}
    assert outputs == {"mode": "check", "status": "0"}
    assert (runner.forge.comments, ci_backend.store.objects.list("notificationChannels")) == ([], [])


def test_nothing_is_applied_while_a_definition_has_a_problem(runner, shop, ci_backend):
    """Also where it is no problem of the stack that would be written."""
    (shop / "alerts" / "bad.py").write_text("import nowhere\n")
    results, _ = runner.run(event="push", ref="main")
    assert {name: done.returncode for name, done in results.items()} == {"Check": 1}
    assert ci_backend.store.objects.list("alertPolicies") == []


def test_a_mode_that_there_is_not_is_told(runner):
    """Instead of a plan that was not asked for."""
    results, _ = runner.run(mode="deploy")
    assert results["Check"].returncode == 1
    assert "none of auto, check, plan, apply" in results["Check"].stdout


def test_the_workflow_that_init_writes_uses_the_action_and_runs_the_tests_of_alerts(runner, action, shop):
    """With inputs that there are, and permissions for no more than reading."""
    workflow = yaml.safe_load(starting_files([pack_named("service")])[WORKFLOW])
    assert workflow["permissions"] == {"contents": "read"}
    (_, check, tests) = workflow["jobs"]["check"]["steps"]
    assert check["uses"] == "obskit/obskit/ci/github@main"
    assert set(check["with"]) <= set(action["inputs"])
    results, _ = runner.run(project="", **check["with"])
    assert results["Result"].returncode == 0, results
    (shop / "alerts" / "test_all.py").write_text(
        "from obskit.testing import pack_tests\ntests = pack_tests('service')\n"
    )
    done = runner.job.bash(tests["run"], {})
    assert (done.returncode, "passed" in done.stdout) == (0, True), done.stderr


def test_inputs_are_never_run_as_a_script(runner, tmp_path):
    """A stack's name with shell in it is a name that cannot be used, no more."""
    runner.run(stack='a"; touch "$RUNNER_TEMP/owned"; "$(touch $RUNNER_TEMP/owned)', folders="$(touch owned) alerts")
    assert not list(tmp_path.rglob("owned"))


def test_folders_and_pruning_are_passed_on(runner, shop):
    """Several folders with blanks between."""
    (shop / "more").mkdir()
    (shop / "more" / "b.py").write_text('from obskit.alerts import email\nb = email("b", address="b@example.com")\n')
    results, _ = runner.run(folders="alerts more", prune="true")
    assert "3 to create" in runner.forge.comments[0]["body"], results
