"""Documentation is true: generated references are current, links lead somewhere, README's code runs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("examples/**/*.md")])


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def test_generated_references_are_current():
    """Configuration, metrics and command line pages are what the code says today."""
    done = subprocess.run(
        [sys.executable, ROOT / "docs" / "generate.py", "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{done.stdout}{done.stderr}(make docs writes them)"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_relative_links_lead_to_files(page):
    """Every relative link and picture of a page exists."""
    links = re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("index", range(2), ids=["fastapi", "flask"])
def test_the_apps_of_the_readme_answer_and_are_recorded(index, tmp_path):
    """README's FastAPI and Flask examples run as they stand; a request to each is one span, one line, one record."""
    code = blocks(ROOT / "README.md", "python")[index]
    drive = {
        0: "from starlette.testclient import TestClient\nwith TestClient(app) as client:\n    assert client.get('/hello/ada').json() == {'hello': 'ada'}\n",
        1: "assert app.test_client().get('/products/7').json == {'id': 7}\n",
    }[index]
    script = (
        "import obskit.testing\nwith obskit.testing.capture() as seen:\n"
        + "".join(f"    {line}\n" for line in (code + drive).splitlines())
        + "    servers = [span for span in seen.spans if span.kind.name == 'SERVER']\n"
        + "assert len(servers) == 1, seen.spans\n"
        + "print('recorded', servers[0].name)\n"
    )
    path = tmp_path / "readme_app.py"
    path.write_text(script)
    done = subprocess.run([sys.executable, path], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "recorded GET" in done.stdout


def test_the_budgets_of_the_readme_refuse_a_guest_who_has_used_up_theirs(tmp_path):
    """README's three lines on AI calls: a guest's call for more than the day's tokens becomes 429."""
    drive = """
from starlette.testclient import TestClient

@app.get("/ask")
def ask():
    obskit.bind(user_id="u1", user_tier="guest")
    for _ in range(2):
        obskit.record_usage("openai", "gpt-5", input_tokens=9_000)
    from google import genai
    client = genai.Client(api_key="none", http_options={"base_url": "http://127.0.0.1:9", "timeout": 500})
    return client.models.generate_content(model="gemini-3.8-flash", contents="why?").text

response = TestClient(app).get("/ask")
print(response.status_code, int(response.headers["retry-after"]) > 0)
"""
    parts = blocks(ROOT / "README.md", "python")
    path = tmp_path / "readme_app.py"
    path.write_text(f"{parts[0]}\n{parts[2]}\n{drive}")
    done = subprocess.run([sys.executable, path], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "429 True" in done.stdout


def test_the_definitions_of_the_readme_pass_the_check(tmp_path):
    """README's alerts are free of problems."""
    (tmp_path / "alerts").mkdir()
    (tmp_path / "alerts" / "service.py").write_text(blocks(ROOT / "README.md", "python")[3])
    done = subprocess.run(
        [sys.executable, "-c", "from obskit.cli import main; main()", "check"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={"ONCALL_WEBHOOK_URL": "https://hooks.example.com/x", "PATH": ""},
    )
    assert done.returncode == 0, done.stderr
    assert "3 definitions, 0 problems" in done.stdout


def test_every_command_is_documented():
    """A command without a section in the reference fails the build."""
    from obskit.cli import COMMANDS

    text = (ROOT / "docs" / "cli.md").read_text()
    assert [name for name in COMMANDS if f"## `obskit {name}`" not in text] == []
