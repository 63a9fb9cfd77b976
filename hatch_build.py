"""Compiles `obskit/signals/_native.c` where there is a C compiler; without one obskit works all the same, in Python.

``OBSKIT_BUILD_NATIVE=0`` leaves it out, which makes a wheel for every platform; with ``1`` a failure ends the build.
``CC``, ``CFLAGS`` and ``LDFLAGS`` mean what they always do.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCE = Path("obskit", "signals", "_native.c")  # which includes the others beside it
# Without detours, and no larger than need be: what it takes of the caches, the app does not find there.
FLAGS = (
    "-std=c11",
    "-O2",
    "-falign-functions=1",
    "-falign-loops=1",
    "-falign-jumps=1",
    "-fno-plt",
    "-DNDEBUG",
    "-fwrapv",
    "-Wall",
    "-shared",
    "-fPIC",
)
SWITCH = "OBSKIT_BUILD_NATIVE"
TIMEOUT_S = 120.0
TRIAL = """\
import sys
from importlib import machinery, util
loader = machinery.ExtensionFileLoader("_native", sys.argv[1])
util.module_from_spec(util.spec_from_loader("_native", loader))
"""


class NativeHook(BuildHookInterface[Any]):
    """Adds the compiled module to wheels, and to the source tree of an editable installation."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, before the wheel is put together."""
        if self.target_name != "wheel":
            return
        wanted = os.environ.get(SWITCH, "").strip()
        if wanted not in {"", "0", "1"}:
            self.app.abort(f"{SWITCH} is {wanted!r}: write 0 to leave {SOURCE} out, 1 to insist on it, or nothing")
        name = f"_native{sysconfig.get_config_var('EXT_SUFFIX')}"
        in_tree = Path(self.root, SOURCE).with_name(name)
        problem = why_not_here()
        if wanted == "0" or (problem and not wanted):
            if version == "editable":
                in_tree.unlink(missing_ok=True)  # of an installation before
            return
        # Outside the source tree, which may be read-only, or be built by several at once.
        self._folder = tempfile.TemporaryDirectory(prefix="obskit-native-")
        made = Path(self._folder.name, name)
        problem = problem or compiled(Path(self.root), made)
        if version == "editable":
            problem = problem or placed(made, in_tree)
        if problem and wanted:
            self.app.abort(f"{SOURCE} cannot be compiled, and {SWITCH}=1 insists on it: {problem}")
        elif problem:
            self.app.display_warning(f"{SOURCE} is left out, and requests are served by Python alone: {problem}")
        elif version != "editable":
            build_data["force_include"][str(made)] = SOURCE.with_name(name).as_posix()
            build_data["pure_python"], build_data["infer_tag"] = False, True

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove what is in the wheel by now."""
        del version, build_data, artifact_path
        if hasattr(self, "_folder"):
            self._folder.cleanup()


def why_not_here() -> str:
    """Return why it is not for this interpreter, empty where it is."""
    if sys.platform != "linux":
        return f"it is for Linux, and this is {sys.platform}"
    if sys.implementation.name != "cpython":
        return f"it is for CPython, and this is {sys.implementation.name}"
    return "it is not for a free-threaded Python" if sysconfig.get_config_var("Py_GIL_DISABLED") else ""


def compiled(root: Path, made: Path, *, timeout_s: float = TIMEOUT_S) -> str:
    """Compile the source, and load what has come of it; return why that failed, empty where it did not.

    It bears its source's time, as a ``.pyc`` does.
    """
    headers = sysconfig.get_path("include")
    if not Path(headers, "Python.h").exists():
        return f"there is no {headers}/Python.h (Debian: apt-get install python3-dev)"
    try:
        compiler = own_compiler()
        options = [shlex.split(os.environ.get(name, "")) for name in ("CFLAGS", "LDFLAGS")]
    except ValueError as error:
        return f"CC, CFLAGS or LDFLAGS cannot be read: {error}"
    if not compiler:
        return "there is no C compiler (Debian: apt-get install gcc)"
    changed_ns = max(source.stat().st_mtime_ns for source in Path(root, SOURCE).parent.glob("_native*.c"))
    # The source's name is relative, so that the same comes of it in every folder.
    command = [*compiler, *FLAGS, *options[0], f"-I{headers}", "-o", str(made), str(SOURCE), *options[1]]
    if problem := failure_of(command, root, timeout_s):
        return problem
    # A library may lack symbols, or be of another machine than this Python.
    if problem := failure_of([sys.executable, "-I", "-c", TRIAL, str(made)], root, timeout_s):
        return f"what {compiler[0]} has made does not load: {problem}"
    os.utime(made, ns=(changed_ns, changed_ns))
    return ""


def own_compiler() -> list[str]:
    """Return the command of the C compiler, empty without one. The one that made this Python need not be here."""
    if os.environ.get("CC", "").strip():
        return shlex.split(os.environ["CC"])
    commands = (shlex.split(each) for each in (sysconfig.get_config_var("CC") or "", "cc", "gcc", "clang"))
    return next((command for command in commands if command and shutil.which(command[0])), [])


def failure_of(command: list[str], folder: Path, timeout_s: float) -> str:
    """Run a command to its end; return what went wrong in one line, empty where nothing did."""
    with tempfile.TemporaryFile() as said:  # a pipe would be waited for, if one of its children kept it open
        try:
            process = subprocess.Popen(
                command,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )
        except OSError as error:
            return str(error)
        try:
            code = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return f"{command[0]} has not ended within {timeout_s:g} s"
        finally:
            if process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        said.seek(0)
        lines = [line.strip() for line in said.read().decode("utf-8", "replace").splitlines() if line.strip()]
    if not code:
        return ""
    return next((line for line in lines if "error" in line.lower()), f"{command[0]} ended with {code}")


def placed(made: Path, in_tree: Path) -> str:
    """Put the module beside its source, whole at once: a process may have the old one loaded. Return as `compiled`."""
    new = in_tree.with_name(f"{in_tree.name}.{made.parent.name}")
    try:
        shutil.copy2(made, new)
        new.replace(in_tree)
    except OSError as error:
        return str(error)
    finally:
        with contextlib.suppress(OSError):
            new.unlink(missing_ok=True)
    return ""
