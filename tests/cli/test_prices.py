"""`obskit prices`: the list, one model, and what a usage would cost."""

from __future__ import annotations

import json

from typer.testing import CliRunner

from obskit.cli import app


def run(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["prices", *arguments])
    return done.exit_code, done.output


def test_the_list_has_its_source() -> None:
    """All models of a provider, with the list's version and the pages that it is from."""
    status, output = run()
    assert status == 0
    assert "gemini-2.5-flash " in output
    assert "genai-prices" in output
    assert "ai.google.dev" in output


def test_what_a_usage_would_cost() -> None:
    """A prompt above 200,000 tokens is dearer as a whole, and searches come on top."""
    status, output = run("gemini-2.5-pro", "--input", "300000", "--output", "100", "--searches", "1")
    assert status == 0
    assert "would cost $0.7865." in output


def test_json(monkeypatch, tmp_path) -> None:
    """Configured prices come first and win; a batch has its own prices."""
    (tmp_path / "pyproject.toml").write_text("[tool.obskit.prices]\nflux = {images = 0.04}\n")
    monkeypatch.chdir(tmp_path)
    report = json.loads(run("flux", "--unit", "images=3", "--json")[1])
    assert (report["models"][0]["origin"], report["cost_usd"]) == ("configured", "0.12")
    report = json.loads(run("models/gemini-2.5-flash", "--input", "1000000", "--processing", "batch", "--json")[1])
    assert report["cost_usd"] == "0.15"


def test_a_model_without_a_price() -> None:
    """No price is a failure, and is not $0."""
    assert run("unheard-of", "--input", "5")[0] == 1
    assert "No price is known" in run("unheard-of")[1]
