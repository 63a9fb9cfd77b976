"""The GitLab template: its scripts run as they are, with a GitLab on loopback and the local backend."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from google.auth import identity_pool

TEMPLATE = Path(__file__).resolve().parents[2] / "ci" / "gitlab" / "obskit.yml"


@pytest.fixture(scope="module")
def documents():
    return list(yaml.safe_load_all(TEMPLATE.read_text()))


class Pipeline:
    """Runs one of the template's jobs."""

    def __init__(self, documents, job, forge) -> None:
        self.header, self.jobs = documents
        self.job, self.forge = job, forge

    def run(self, name, **inputs):
        given = {key: each.get("default", "") for key, each in self.header["spec"]["inputs"].items()}
        given |= {"project": "shop", "local": self.job.backend.grpc_address, "requirement": "", **inputs}

        def filled(text):
            told = {True: "true", False: "false"}
            return re.sub(r"\$\[\[ inputs\.([a-z-]+) \]\]", lambda m: told.get(given[m[1]], str(given[m[1]])), text)

        job = {**self.jobs[".obskit"], **self.jobs[name]}
        environ = {key: filled(str(value)) for key, value in job["variables"].items()}
        environ |= {
            "CI_API_V4_URL": self.forge.url,
            "CI_PROJECT_ID": "17",
            "CI_MERGE_REQUEST_IID": "3",
            "GITLAB_TOKEN": "t0k3n",
            "CI_PROJECT_DIR": str(self.job.folder),
            "GCP_ID_TOKEN": "jwt",
        }
        return self.job.bash("\n".join([*job["before_script"], *job["script"]]) + "\n", environ)


@pytest.fixture
def pipeline(documents, job, forge):
    return Pipeline(documents, job, forge)


def test_the_template_has_inputs_and_three_jobs(documents):
    """Check and plan on merge requests, apply on the default branch, one apply at a time; every input is used and described."""
    header, jobs = documents
    inputs = header["spec"]["inputs"]
    assert all(each["description"] for each in inputs.values())
    text = TEMPLATE.read_text()
    assert all(f"$[[ inputs.{name} ]]" in text for name in inputs)
    assert set(jobs) == {".obskit", "obskit-check", "obskit-plan", "obskit-apply"}
    assert jobs["obskit-plan"]["rules"] == [{"if": '$CI_PIPELINE_SOURCE == "merge_request_event"'}]
    assert "$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH" in jobs["obskit-apply"]["rules"][0]["if"]
    assert jobs["obskit-apply"]["resource_group"] == "obskit-$[[ inputs.stack ]]"
    assert "aud" in jobs[".obskit"]["id_tokens"]["GCP_ID_TOKEN"]


def test_the_check_is_a_code_quality_report(documents, pipeline, shop):
    """Without a problem it is empty; with one it has the place, and the job fails; nothing is planned."""
    report = shop / documents[1]["obskit-check"]["artifacts"]["reports"]["codequality"]
    done = pipeline.run("obskit-check", project="")
    assert (done.returncode, json.loads(report.read_text())) == (0, []), done.stderr
    (shop / "alerts" / "bad.py").write_text("import nowhere\n")
    done = pipeline.run("obskit-check", project="")
    (entry,) = json.loads(report.read_text())
    assert (done.returncode, entry["severity"]) == (1, "critical")
    assert entry["location"] == {"path": "alerts/bad.py", "lines": {"begin": 1}}
    assert "nowhere" in done.stderr
    assert pipeline.forge.calls == []


def test_a_merge_request_gets_the_plan_as_one_note(pipeline, shop):
    """The second run replaces it; nothing is written to the project."""
    for _ in range(2):
        done = pipeline.run("obskit-plan")
        assert done.returncode == 0, done.stderr
    (note,) = pipeline.forge.comments
    assert "latency-p95" in note["body"]
    assert pipeline.forge.calls[-1] == ("PUT", "/projects/17/merge_requests/3/notes/1")
    assert (shop / "obskit-plan.md").read_text() in note["body"]
    assert pipeline.job.backend.store.objects.list("alertPolicies") == []


def test_the_default_branch_applies(pipeline):
    """Once and for all: the second run writes nothing."""
    done = pipeline.run("obskit-apply")
    assert done.returncode == 0, done.stderr
    assert "Applied: 2 writes." in done.stdout
    done = pipeline.run("obskit-apply")
    assert "2 unchanged" in done.stdout
    assert pipeline.forge.comments == []


def test_a_problem_fails_the_job_and_is_in_the_note(pipeline, shop):
    """With its place."""
    (shop / "alerts" / "bad.py").write_text("import nowhere\n")
    done = pipeline.run("obskit-plan")
    assert done.returncode == 1
    (note,) = pipeline.forge.comments
    assert "### The plan failed" in note["body"]
    assert "alerts/bad.py:1" in note["body"]


def test_the_job_logs_in_by_federation(documents, job):
    """Google's own library reads the credentials that the job writes from its token; nothing secret is in them."""
    script = "\n".join(documents[1][".obskit"]["before_script"])
    environ = {
        "OBSKIT_REQUIREMENT": "",
        "OBSKIT_PROVIDER": "projects/1/locations/global/workloadIdentityPools/p/providers/gitlab",
        "OBSKIT_ACCOUNT": "sync@shop.iam.gserviceaccount.com",
        "GCP_ID_TOKEN": "jwt",
        "TMPDIR": str(job.temp),
    }
    done = job.bash(f'{script}\necho "$GOOGLE_APPLICATION_CREDENTIALS"\n', environ)
    assert done.returncode == 0, done.stderr
    path = Path(done.stdout.strip())
    credentials = identity_pool.Credentials.from_file(str(path))
    assert credentials.service_account_email == "sync@shop.iam.gserviceaccount.com"
    assert credentials.retrieve_subject_token(None) == "jwt"
    assert "jwt" not in json.dumps({**json.loads(path.read_text()), "subject_token_type": ""})
