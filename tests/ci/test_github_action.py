"""The composite action, step by step as a runner takes it, with a GitHub on loopback and the local backend."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

ACTION = Path(__file__).resolve().parents[2] / "ci" / "github" / "action.yml"


@pytest.fixture(scope="module")
def action():
    return yaml.safe_load(ACTION.read_text())


class Runner:
    """Runs the action's bash steps; those that use other actions are only looked at."""

    def __init__(self, action, job, forge, fill) -> None:
        self.action, self.job, self.forge, self.fill = action, job, forge, fill

    def run(self, event="pull_request", ref="7/merge", **inputs):
        """Return the result of each bash step and the outputs of the one named sync."""
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
            "GITHUB_REF": f"refs/pull/{ref}" if event == "pull_request" else f"refs/heads/{ref}",
            "GITHUB_API_URL": self.forge.url,
        }
        results = {}
        for step in self.action["runs"]["steps"]:
            if "run" not in step or not self.wanted(step.get("if"), values):
                continue
            assert step["shell"] == "bash"
            assert "${{" not in step["run"], "inputs reach scripts through the environment only"
            own = {name: self.fill(str(value), values) for name, value in step.get("env", {}).items()}
            folder = self.job.folder / self.fill(step.get("working-directory", "."), values)
            done = self.job.bash(step["run"], environ | own, cwd=folder)
            results[step["name"]] = done
            outputs = dict(line.split("=", 1) for line in output.read_text().splitlines())
            values |= {f"steps.sync.outputs.{name}": value for name, value in outputs.items()}
            if done.returncode:
                break
        return results, outputs

    def wanted(self, condition, values):
        if condition is None:
            return True
        parts = [part.split() for part in condition.split("&&")]
        signs = {"==": lambda a, b: a == b, "!=": lambda a, b: a != b}
        return all(signs[sign](values[name], other.strip("'")) for name, sign, other in parts)


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
    """The comment has what `obskit check` would say."""
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
