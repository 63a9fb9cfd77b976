"""Compiles `obskit/middleware/_native.c` where there is a C compiler; without one obskit works all the same, in Python.

``OBSKIT_BUILD_NATIVE=0`` leaves it out and makes a wheel for every platform; with ``1`` a failure ends the build.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCE = Path("obskit", "middleware", "_native.c")
FLAGS = ("-std=c11", "-O2", "-Wall", "-shared", "-fPIC")
SWITCH = "OBSKIT_BUILD_NATIVE"


class NativeHook(BuildHookInterface[Any]):
    """Adds the compiled module to wheels, and to the source tree of an editable installation."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, before the wheel is put together."""
        wanted = os.environ.get(SWITCH, "").strip()
        is_free_threaded = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
        is_possible = sys.platform == "linux" and sys.implementation.name == "cpython" and not is_free_threaded
        if self.target_name != "wheel" or wanted == "0" or not is_possible:
            return
        made = (Path(self.root) / SOURCE).with_name(f"_native{sysconfig.get_config_var('EXT_SUFFIX')}")
        problem = compiled(Path(self.root) / SOURCE, made)
        if problem:
            if wanted == "1":
                raise RuntimeError(f"{SOURCE} cannot be compiled: {problem}")
            self.app.display_warning(f"{SOURCE} is left out, and requests are served by Python alone: {problem}")
            return
        if version != "editable":
            build_data["artifacts"].append(str(made.relative_to(self.root)))
            build_data["pure_python"], build_data["infer_tag"] = False, True


def compiled(source: Path, made: Path) -> str:
    """Compile the source; return why that failed, empty where it did not."""
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")
    new = made.with_name(f"{made.name}.{os.getpid()}")  # put in its place whole: a process may have the old one loaded
    command = [*compiler, *FLAGS, f"-I{sysconfig.get_path('include')}", "-o", str(new), str(source)]
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            return (done.stderr.strip() or f"the compiler ended with {done.returncode}").splitlines()[0]
        new.replace(made)
    except OSError as error:
        return str(error)
    finally:
        new.unlink(missing_ok=True)
    return ""
