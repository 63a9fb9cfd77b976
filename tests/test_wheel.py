"""The built wheel, installed into a clean environment, is complete."""

from __future__ import annotations

import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel of this checkout."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    (found,) = folder.glob("*.whl")
    return found


def test_the_wheel_carries_everything_that_it_needs(wheel):
    """The web UI, the examples, the definitions, the type marker and the licences are inside; tests and sources in C are not."""
    names = zipfile.ZipFile(wheel).namelist()
    for needed in (
        "obskit/py.typed",
        "obskit/local/web/index.html",
        "obskit/queries/google_metrics/index.txt",
        "obskit/demo/bundle/examples/fastapi_app/main.py",
        "obskit/demo/bundle/examples/flask_app/main.py",
        "obskit/demo/bundle/alerts/service.py",
        "obskit/demo/bundle/dashboards/service.py",
    ):
        assert needed in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/")) or name.endswith((".pth", ".c"))]


@pytest.mark.timeout(600)
def test_the_wheel_works_in_a_clean_environment(wheel, tmp_path):
    """Installed alone, without extras, the package imports, the command line answers and the shipped alerts check."""
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / "bin" / "python"
    subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(wheel)],
        check=True,
        capture_output=True,
    )

    def run(*command):
        return subprocess.run(
            command,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "ONCALL_WEBHOOK_URL": "https://h.example.com/x"},
        )

    code = "import obskit, pathlib; print(pathlib.Path(obskit.__file__).parent / 'demo' / 'bundle')"
    bundle = run(python, "-c", code).stdout.strip()
    command = str(tmp_path / "env" / "bin" / "obskit")
    assert "sync-alerts" in run(command, "--help").stdout
    done = run(command, "check", f"{bundle}/alerts", f"{bundle}/dashboards")
    assert done.returncode == 0, done.stdout + done.stderr
    script = (
        "import obskit; handle = obskit.instrument(service_name='script', exporters=['none']); assert handle.shutdown()"
    )
    done = run(python, "-c", script)
    assert done.returncode == 0, done.stderr
