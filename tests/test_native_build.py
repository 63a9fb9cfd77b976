"""Wheels with the compiled module and without it: from the sources, from the source distribution, and where it fails."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SUFFIX = sysconfig.get_config_var("EXT_SUFFIX")
NAME = f"_native{SUFFIX}"
PLACE = f"obskit/signals/{NAME}"
UNIVERSAL = "py3-none-any"

_spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
hatch_build = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(hatch_build)

SOURCES = sorted((ROOT / hatch_build.SOURCE).parent.glob("_native*.c"))
IMPOSSIBLE = hatch_build.why_not_here()
HAS_COMPILER = bool(hatch_build.own_compiler()) and Path(sysconfig.get_path("include"), "Python.h").exists()
compiling = pytest.mark.skipif(bool(IMPOSSIBLE) or not HAS_COMPILER, reason=IMPOSSIBLE or "needs a C compiler")
on_linux = pytest.mark.skipif(bool(IMPOSSIBLE), reason=IMPOSSIBLE)

SERVE = """
import asyncio, json, sys
import obskit
from obskit.signals import native

seen = []


async def app(scope, receive, send):
    seen.append(type(send.__self__).__name__)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


async def serve(app, messages):
    scope = {"type": "http", "method": "GET", "path": "/hello", "query_string": b"", "scheme": "http",
             "headers": [(b"host", b"localhost")], "client": ("127.0.0.1", 1), "http_version": "1.1", "root_path": ""}

    async def receive():
        return {"type": "http.request"}

    async def send(message):
        messages.append(message)

    await app(scope, receive, send)


observed, messages = obskit.wrap(app, service_name="built", exporters=["none"], log_format="json"), []
for _ in range(3):
    asyncio.run(serve(observed, messages))
bodies = [message["body"].decode() for message in messages[1::2]]
found = {"seen": seen, "bodies": bodies, "home": obskit.__file__, "why": native.WHY_NOT}
print(json.dumps(found), file=sys.stderr)
"""


def build(
    source: Path, folder: Path, *what: str, **environ: str
) -> tuple[subprocess.CompletedProcess[str], list[Path]]:
    """Build as a packager does; return what was said, and what has been made."""
    command = [sys.executable, "-m", "build", "--no-isolation", *what, "--outdir", str(folder), str(source)]
    clean = {name: value for name, value in os.environ.items() if name not in {"CC", "CFLAGS", hatch_build.SWITCH}}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**clean, **environ}, timeout=100)
    return done, sorted(folder.iterdir()) if folder.exists() else []


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution, unpacked."""
    folder = tmp_path_factory.mktemp("sdist")
    done, made = build(ROOT, folder, "--sdist")
    assert done.returncode == 0, done.stderr
    with tarfile.open(made[0]) as archive:
        archive.extractall(folder / "unpacked", filter="data")
    (root,) = (folder / "unpacked").iterdir()
    return root


@pytest.fixture(scope="module")
def native_wheel(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel with the compiled module, from the source distribution."""
    done, made = build(sources, tmp_path_factory.mktemp("native"), "--wheel", OBSKIT_BUILD_NATIVE="1")
    assert done.returncode == 0, done.stdout + done.stderr
    return made[0]


@pytest.fixture(scope="module")
def universal_wheel(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel without it, from the same sources."""
    done, made = build(sources, tmp_path_factory.mktemp("universal"), "--wheel", OBSKIT_BUILD_NATIVE="0")
    assert done.returncode == 0, done.stdout + done.stderr
    return made[0]


def unpacked(wheel: Path, folder: Path) -> Path:
    zipfile.ZipFile(wheel).extractall(folder)
    return folder


def served(site: Path) -> tuple[dict[str, object], list[dict[str, object]]]:
    """Serve three requests with the obskit of a folder; return what the app has seen, and the access lines."""
    done = subprocess.run(
        [sys.executable, "-c", SERVE],
        capture_output=True,
        text=True,
        check=False,
        cwd=site,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(site)},
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return json.loads(done.stderr.splitlines()[-1]), [line for line in lines if "httpRequest" in line]


def tags(wheel: Path) -> str:
    return wheel.stem.partition("-")[2].partition("-")[2]


def holds(wheel: Path, ending: str) -> list[str]:
    return [name for name in zipfile.ZipFile(wheel).namelist() if name.endswith(ending)]


def test_the_source_distribution_has_what_it_is_built_from(sources: Path) -> None:
    """The C source and the build hook are in it; a compiled module and caches of this checkout are not."""
    assert (sources / "hatch_build.py").exists()
    assert (sources / hatch_build.SOURCE).exists()
    assert list(sources.rglob("*.so")) == []
    assert {each.name for each in sources.iterdir() if each.name.startswith(".")} <= {".ci", ".github", ".gitignore"}


@compiling
def test_the_wheel_with_the_module_is_for_this_python_and_machine(native_wheel: Path) -> None:
    """It bears the tag of both, says that it is not pure, and has the library, no source, and one of each file."""
    version = f"cp{sys.version_info.major}{sys.version_info.minor}"
    machine = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    assert tags(native_wheel) == f"{version}-{version}-{machine}"
    archive = zipfile.ZipFile(native_wheel)
    (about,) = holds(native_wheel, ".dist-info/WHEEL")
    assert "Root-Is-Purelib: false" in archive.read(about).decode()
    assert (holds(native_wheel, ".so"), holds(native_wheel, ".c")) == ([PLACE], [])
    assert len(set(archive.namelist())) == len(archive.namelist())


@compiling
def test_building_leaves_the_sources_as_they_are(native_wheel: Path, sources: Path) -> None:
    """Nothing is written into the source tree, which may be read-only, or be built by several Pythons at once."""
    assert native_wheel.exists()
    assert {each.suffix for each in sources.rglob("_native*")} == {".c"}


@compiling
def test_the_module_of_the_wheel_serves(native_wheel: Path, tmp_path: Path) -> None:
    """With the wheel's files alone, plain requests go through the compiled exchange, and each has its line."""
    found, lines = served(unpacked(native_wheel, tmp_path))
    assert Path(found["home"]).is_relative_to(tmp_path)
    assert (found["seen"], found["bodies"]) == (["_NativeExchange"] * 3, ["hello"] * 3)
    assert [line["httpRequest"]["status"] for line in lines] == [200] * 3


@compiling
def test_a_module_older_than_its_source_is_not_loaded(native_wheel: Path, tmp_path: Path) -> None:
    """In an editable installation whose C source has changed since, Python serves and the reason is told."""
    site = unpacked(native_wheel, tmp_path)
    made = (site / PLACE).stat().st_mtime_ns
    sources = [site / source.relative_to(ROOT) for source in SOURCES]
    for source in sources:
        source.write_text("")
        os.utime(source, ns=(made, made))
    assert served(site)[0]["seen"] == ["_NativeExchange"] * 3
    for source in sources:
        os.utime(source, ns=(made + 10**9, made + 10**9))
        found, lines = served(site)
        assert found["seen"] == ["_Exchange"] * 3
        assert "older than its source" in found["why"]
        assert len(lines) == 3
        os.utime(source, ns=(made, made))


@compiling
def test_an_editable_installation_has_the_module_beside_its_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It bears the time of its latest source there and nothing else is left; an installation without it takes it away again."""
    folder = (tmp_path / hatch_build.SOURCE).parent
    folder.mkdir(parents=True)
    names = {source.name for source in SOURCES}
    for number, source in enumerate(SOURCES):
        shutil.copy(source, folder)
        os.utime(folder / source.name, ns=(10**18 + number, 10**18 + number))

    def install(wanted: str) -> set[str]:
        monkeypatch.setenv(hatch_build.SWITCH, wanted)
        data = {"force_include": {}, "pure_python": True, "infer_tag": False}
        hook = hatch_build.NativeHook(str(tmp_path), {}, None, None, "", "wheel")
        hook.initialize("editable", data)
        hook.finalize("editable", data, "")
        assert data == {"force_include": {}, "pure_python": True, "infer_tag": False}
        return {each.name for each in folder.iterdir()}

    assert install("1") == names | {NAME}
    assert (folder / NAME).stat().st_mtime_ns == 10**18 + len(SOURCES) - 1
    assert install("0") == names


def test_the_universal_wheel_serves_in_python(universal_wheel: Path, tmp_path: Path) -> None:
    """With OBSKIT_BUILD_NATIVE=0 there is no library in it, its tag is for all, and requests are served alike."""
    assert (tags(universal_wheel), holds(universal_wheel, ".so"), holds(universal_wheel, ".c")) == (UNIVERSAL, [], [])
    found, lines = served(unpacked(universal_wheel, tmp_path))
    assert Path(found["home"]).is_relative_to(tmp_path)
    assert (found["seen"], found["bodies"]) == (["_Exchange"] * 3, ["hello"] * 3)
    assert [line["httpRequest"]["status"] for line in lines] == [200] * 3
    assert "without a C compiler" in found["why"]


@on_linux
def test_a_compiler_that_fails_is_told_and_leaves_it_out(sources: Path, tmp_path: Path) -> None:
    """The build goes on with a warning, and the wheel is the universal one."""
    done, made = build(sources, tmp_path, "--wheel", CC="/bin/false")
    assert done.returncode == 0, done.stdout + done.stderr
    assert [tags(wheel) for wheel in made] == [UNIVERSAL]
    assert "requests are served by Python alone: " in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        pytest.param("1", "OBSKIT_BUILD_NATIVE=1 insists on it", id="insisted on", marks=on_linux),
        pytest.param("yes", "OBSKIT_BUILD_NATIVE is 'yes': write 0", id="misspelt"),
    ],
)
def test_a_build_that_cannot_be_as_asked_for_fails(sources: Path, tmp_path: Path, wanted: str, expected: str) -> None:
    """There is no wheel, one line says why, and no traceback hides it."""
    done, made = build(sources, tmp_path, "--wheel", CC="/bin/false", OBSKIT_BUILD_NATIVE=wanted)
    said = done.stdout + done.stderr
    assert (done.returncode != 0, made) == (True, [])
    assert expected in said
    assert "Traceback" not in said


HANGS = "#!/bin/sh\nsleep 1000 &\nwait\n"
MAKES_NO_LIBRARY = '#!/bin/sh\nwhile [ "$1" != -o ]; do shift; done\necho nothing > "$2"\n'


@compiling
@pytest.mark.parametrize(
    ("compiler", "timeout_s", "expected"),
    [
        pytest.param(HANGS, 0.2, "has not ended within 0.2 s", id="hangs"),
        pytest.param("#!/bin/sh\necho unable to go on: an ERROR >&2\nexit 3\n", 60, "unable to go on", id="complains"),
        pytest.param("#!/bin/sh\nexit 3\n", 60, "ended with 3", id="silent"),
        pytest.param(MAKES_NO_LIBRARY, 60, "does not load", id="another machine's"),
    ],
)
def test_why_a_compiler_has_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compiler: str, timeout_s: float, expected: str
) -> None:
    """One that hangs with all that it has started is ended; one that makes what this Python cannot load is found out."""
    program = tmp_path / "my compiler"
    program.write_text(compiler)
    program.chmod(0o755)
    monkeypatch.setenv("CC", f"'{program}' --with arguments")
    assert expected in hatch_build.compiled(ROOT, tmp_path / NAME, timeout_s=timeout_s)


@compiling
@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        pytest.param("CC", "/no/such/cc", "No such file", id="no such compiler"),
        pytest.param("CC", "gcc '", "CC, CFLAGS or LDFLAGS cannot be read", id="open quotation"),
        pytest.param("CFLAGS", "-include no_such_header.h", "no_such_header.h", id="flags are used"),
    ],
)
def test_variables_of_the_environment_mean_what_they_do_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, expected: str
) -> None:
    """CC may name a compiler with arguments, CFLAGS more of them; what cannot be used is told."""
    monkeypatch.setenv(variable, value)
    assert expected in hatch_build.compiled(ROOT, tmp_path / NAME)


@on_linux
def test_missing_headers_are_told_with_the_package_that_has_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Python without Python.h, as Debian's without python3-dev, is no compiler's riddle."""
    monkeypatch.setitem(sysconfig.get_config_vars(), "base", str(tmp_path))
    monkeypatch.setitem(sysconfig.get_config_vars(), "installed_base", str(tmp_path))
    assert "python3-dev" in hatch_build.compiled(ROOT, tmp_path / NAME)
