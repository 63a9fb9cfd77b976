"""Every policy that this project ships, and the tests of them that stand in `ready/`."""

from __future__ import annotations

import importlib.util
import inspect
import pkgutil
from importlib import import_module
from pathlib import Path

import obskit.alerts.ready
from obskit import resources
from obskit.testing.finding import tests_in

HERE = Path(__file__).parent

_CHECK = resources.http_check("chat-health", url="https://chat.example.com/health")
_REQUESTS = 'metric.type="run.googleapis.com/request_count" AND resource.type="cloud_run_revision"'
_SLO = resources.ServiceLevelObjective(
    id="available",
    service="api",
    goal=0.999,
    rolling="30d",
    indicator=resources.RatioSLI(bad=f'{_REQUESTS} AND metric.labels.response_code_class="5xx"', total=_REQUESTS),
)
# The objects that alerts are made from.
GIVEN_OBJECTS = {"uptime_alert": _CHECK, "certificate_alert": _CHECK, "burn_rate_alerts": _SLO}

# What a maker must be told and has no default for; its test uses the same policy id.
GIVEN = {"job": "nightly", "budget_usd": 100, "check_id": "chat-health"}


def makers():
    """Return the functions of `obskit.alerts.ready` that make a policy, by name; packs come in the same way."""
    found = {}
    for package in (obskit.alerts.ready,):
        for item in pkgutil.iter_modules(package.__path__):
            module = import_module(f"{package.__name__}.{item.name}")
            for name in module.__all__:
                made = inspect.signature(getattr(module, name)).return_annotation
                if made == "AlertPolicy":
                    found[name] = getattr(module, name)
    return found


def policies():
    """Return every policy that is shipped, made with its defaults."""
    found = [made(maker) for maker in makers().values()]
    for name in resources.__all__:
        maker = getattr(resources, name)
        if not inspect.isfunction(maker):
            continue
        returned = inspect.signature(maker).return_annotation
        if returned == "AlertPolicy":
            found.append(maker(GIVEN_OBJECTS[name]))
        elif returned == "tuple[AlertPolicy, ...]":
            found += maker(GIVEN_OBJECTS[name]) if name in GIVEN_OBJECTS else maker()
    return found


def made(maker):
    """Return the policy of a maker with its defaults."""
    needed = [
        name for name, each in inspect.signature(maker).parameters.items() if each.default is inspect.Parameter.empty
    ]
    return maker(**{name: GIVEN[name] for name in needed})


def ready_tests():
    """Return the alert tests of `ready/` by their names."""
    found = {}
    for path in sorted((HERE / "ready").glob("test_*_alerts.py")):
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        found |= {each.name.rpartition("/")[2]: each.test for each in tests_in(module)}
    return found
