from __future__ import annotations

from datetime import timedelta

import pytest

from obskit.config import SETTINGS, Config, parse_duration, resolve


def test_the_table_and_the_config_have_the_same_settings_and_defaults():
    """Every setting is a field of Config with the same default."""
    assert {setting.name: setting.default for setting in SETTINGS} == {
        name: getattr(Config(), name) for name in Config.FIELDS
    }


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5m", 300),
        ("90s", 90),
        ("1h30m", 5400),
        ("250ms", 0.25),
        ("1.5h", 5400),
        ("7", 7),
        (7, 7),
        (0.5, 0.5),
        ("2d", 172800),
        (timedelta(minutes=1), 60),
    ],
)
def test_durations_are_read_in_the_usual_spellings(text, seconds):
    """Text with units, bare seconds and timedeltas are durations."""
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "five", "5 min", "m5", "5x", "-5m", True, None])
def test_what_is_not_a_duration_says_how_to_write_one(text):
    """The error shows an example."""
    with pytest.raises(ValueError, match='"5m"'):
        parse_duration(text)


def test_code_wins_over_environment_over_file_over_default(tmp_path):
    """Each source is asked in its turn, and the result says which one decided."""
    (tmp_path / "pyproject.toml").write_text(
        '[tool.obskit]\nservice_name = "file"\nenvironment = "file"\nservice_version = "file"\n'
    )
    environ = {"OBSKIT_SERVICE_NAME": "env", "OBSKIT_ENVIRONMENT": "env", "OTEL_SERVICE_NAME": "otel"}
    found = resolve({"service_name": "code", "project": None}, environ=environ, directory=tmp_path)
    assert (found.config.service_name, found.config.environment, found.config.service_version) == (
        "code",
        "env",
        "file",
    )
    assert found.sources["service_name"] == "code"
    assert found.sources["environment"] == "OBSKIT_ENVIRONMENT"
    assert found.sources["service_version"].endswith("pyproject.toml")
    assert found.sources["project"] == "default"
    assert found.problems == ()


def test_our_variable_wins_over_the_standard_one_over_the_platforms(tmp_path):
    """OBSKIT_SERVICE_NAME, then OTEL_SERVICE_NAME, then K_SERVICE."""
    environ = {"K_SERVICE": "run", "OTEL_SERVICE_NAME": "otel"}
    assert resolve(environ=environ, directory=tmp_path).config.service_name == "otel"


def test_the_file_is_searched_upwards(tmp_path):
    """A pyproject.toml of a parent folder counts."""
    (tmp_path / "pyproject.toml").write_text('[tool.obskit]\nservice_name = "parent"\n')
    (tmp_path / "a" / "b").mkdir(parents=True)
    assert resolve(environ={}, directory=tmp_path / "a" / "b").config.service_name == "parent"


def test_an_unknown_setting_names_the_nearest_one_wherever_it_stands(tmp_path):
    """A misspelt keyword, variable and key are three problems, each with the right name."""
    (tmp_path / "pyproject.toml").write_text("[tool.obskit]\nlog_levle = 'info'\n")
    found = resolve({"servicename": "x"}, environ={"OBSKIT_PROJEKT": "p"}, directory=tmp_path)
    assert [problem.way_out for problem in found.problems] == [
        "Did you mean 'service_name'",
        "Did you mean 'log_level'",
        "Did you mean 'OBSKIT_PROJECT'",
    ]


def test_a_value_that_cannot_be_used_is_a_problem_and_the_next_source_decides(tmp_path):
    """Nothing raises: each bad value is reported and passed over."""
    environ = {
        "OBSKIT_SAMPLE_RATIO": "2",
        "OTEL_TRACES_SAMPLER_ARG": "0.5",
        "OBSKIT_EXPORTERS": "gpc",
        "OBSKIT_ENABLED": "perhaps",
    }
    found = resolve({"flush_timeout": "soon"}, environ=environ, directory=tmp_path)
    assert found.config.sample_ratio == 0.5
    assert found.config.exporters == ("auto",)
    assert found.config.enabled is True
    assert found.config.flush_timeout == timedelta(seconds=6)
    assert {problem.place for problem in found.problems} == {
        "code",
        "OBSKIT_SAMPLE_RATIO",
        "OBSKIT_EXPORTERS",
        "OBSKIT_ENABLED",
    }


def test_a_secret_is_shown_neither_by_a_problem_nor_by_the_config(tmp_path):
    """The DSN is left out of the representation."""
    found = resolve({"sentry_dsn": "https://secret@sentry.example/1"}, environ={}, directory=tmp_path)
    assert "secret" not in repr(found.config)


def test_a_file_that_does_not_parse_is_a_problem_and_not_an_exception(tmp_path):
    """A broken pyproject.toml does not stop the app."""
    (tmp_path / "pyproject.toml").write_text("[tool.obskit\n")
    (problem,) = resolve(environ={}, directory=tmp_path).problems
    assert "cannot be read" in problem.problem


@pytest.mark.parametrize(
    ("given", "sizes", "rates"),
    [
        ({"log_max_bytes": 4096}, {"*": 4096}, {}),
        ({"log_max_bytes": {"chatty": 2048}}, {"*": 262144, "chatty": 2048}, {}),
        ({"log_rate_limits": "5/s"}, {"*": 262144}, {"*": (5, timedelta(seconds=1))}),
        (
            {"log_max_bytes": "a.b=2048, *=9000", "log_rate_limits": {"a": "600/10m", "*": "0/1s"}},
            {"*": 9000, "a.b": 2048},
            {"a": (600, timedelta(minutes=10)), "*": (0, timedelta(seconds=1))},
        ),
    ],
)
def test_limits_of_loggers(tmp_path, given, sizes, rates):
    """Sizes and rates of log lines are one value for all loggers, or a table by logger, in code and in the environment."""
    config = resolve(given, environ={}, directory=tmp_path).config
    assert (config.log_max_bytes, config.log_rate_limits) == (sizes, rates)


@pytest.mark.parametrize("given", [{"log_max_bytes": 300_000}, {"log_max_bytes": 1}, {"log_rate_limits": "*=fast"}])
def test_limits_that_are_none(tmp_path, given):
    """A size out of range and a rate that is none are problems, and the default holds."""
    resolved = resolve(given, environ={}, directory=tmp_path)
    assert len(resolved.problems) == 1
    assert vars(resolved.config) == vars(Config())


def test_prices_are_a_table_of_known_kinds(tmp_path):
    """Prices per million tokens are taken, unknown kinds refused."""
    good = {"my-model": {"input": 1, "output": 2.5}}
    assert resolve({"prices": good}, environ={}, directory=tmp_path).config.prices == good
    bad = resolve({"prices": {"my-model": {"inputs": 1}}}, environ={}, directory=tmp_path)
    assert len(bad.problems) == 1
    assert bad.config.prices is None
