"""Settings: where they come from, what is refused, and how they are shown."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import msgspec
import pytest

from hybrid_runtime.errors import InvalidInput
from hybrid_runtime.limits import Limits
from hybrid_runtime.server.reading import Effective, read, variable_of
from hybrid_runtime.server.reference import ANY_NAME, entries, values
from hybrid_runtime.server.settings import LimitSettings, LimitsSettings, Settings, bounded
from hybrid_runtime.server.writing import shown, template, toml


@pytest.fixture
def file(tmp_path):
    """Writes a file with settings."""

    def write(text: str) -> Path:
        path = tmp_path / "serve.toml"
        path.write_text(text)
        return path

    return write


def reading(file: Path | None = None, environment: dict[str, str] | None = None, **given: object) -> Effective:
    return read(file, given, environment or {})


def refusal(file: Path | None = None, environment: dict[str, str] | None = None, **given: object) -> str:
    with pytest.raises(InvalidInput) as caught:
        reading(file, environment, **given)
    return str(caught.value)


# ------------------------------------------------------------------ where values come from


def test_without_any_setting_one_emulator_is_served_on_this_host_only():
    settings = reading().settings
    assert (settings.listen.host, settings.listen.port) == ("127.0.0.1", 8470)
    assert {name: backend.driver for name, backend in settings.backends.items()} == {"qulacs": "qulacs"}


def test_data_is_kept_in_the_users_state_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert reading().settings.data == str(tmp_path / "hybrid-runtime")


def test_a_relative_data_folder_means_the_one_below_the_present_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert reading(data="kept").settings.data == str(tmp_path / "kept")


def test_the_environment_wins_over_the_file_and_the_command_line_over_both(file):
    path = file("[listen]\nport = 1\nhost = '10.0.0.1'\n[caps]\nbatch = 7")
    environment = {"QI_RUN_SERVE_LISTEN_PORT": "2", "QI_RUN_SERVE_LISTEN_HOST": "10.0.0.2"}
    effective = read(path, {"listen.port": 3}, environment)
    settings = effective.settings
    assert (settings.listen.port, settings.listen.host, settings.caps.batch) == (3, "10.0.0.2", 7)
    assert [effective.source(key) for key in ("listen.port", "listen.host", "caps.batch", "caps.burst")] == [
        "the command line",
        "environment variable QI_RUN_SERVE_LISTEN_HOST",
        str(path),
        "default",
    ]


def test_backends_can_be_set_by_the_environment_as_a_whole():
    backends = '{a = {driver = "null"}, b = {driver = "scripted", jobs = 2}}'
    effective = reading(environment={"QI_RUN_SERVE_BACKENDS": backends})
    assert effective.settings.backends["b"].jobs == 2
    assert effective.source("backends.a.driver") == "environment variable QI_RUN_SERVE_BACKENDS"


def test_a_backend_of_the_command_line_joins_those_of_the_file(file):
    path = file("[backends.a]\ndriver = 'null'\njobs = 2")
    settings = read(path, {"backends.a.driver": "scripted", "backends.b.driver": "qulacs"}, {}).settings
    assert {name: (one.driver, one.jobs) for name, one in settings.backends.items()} == {
        "a": ("scripted", 2),
        "b": ("qulacs", 4),
    }


def test_options_of_a_driver_are_taken_as_they_are(file):
    settings = reading(file("[backends.a]\ndriver = 'paced'\n[backends.a.options.timing]\nshot_s = 1e-3")).settings
    assert settings.backends["a"].options == {"timing": {"shot_s": 1e-3}}


# ------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[listen]\nprot = 1", "listen.prot is not a setting; did you mean listen.port?"),
        ("lissten = 1", "lissten is not a setting; did you mean listen?"),
        ("[backends.a]\ndriver = 'null'\njob = 1", "backends.a.job is not a setting; did you mean backends.a.jobs?"),
        ("[listen]\nport = 'x'", "listen.port: Expected int, got str"),
        ("[listen]\nport = 70000", "listen.port: Expected int <= 65535"),
        ("[backends.a]\njobs = 1", "backends.a: Object missing required field driver"),
        ("[backends.a]\ndriver = 'null'\njobs = 0", "backends.a.jobs: Expected int >= 1"),
        ("metrics_networks = ['10.0.0.0/8', 5]", "metrics_networks[1]: Expected str, got int"),
        ("listen = 5", "listen: Expected object, got int"),
        ("listen =", "is not TOML"),
    ],
)
def test_a_wrong_file_is_refused_with_its_name_the_key_and_a_hint(file, text, told):
    path = file(text)
    refused = refusal(path)
    assert told in refused
    assert str(path) in refused


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("backends = {}", "backends is empty"),
        ("[backends.'A b']\ndriver = 'null'", "backends.A b: a name has up to 63"),
        ("[backends.a]\ndriver = 'null'\nenvironment = 'x'", "environments are: default"),
        ("[backends.a]\ndriver = 'null'\nfailover = ['b']", "which is no other backend"),
        ("[backends.a]\ndriver = 'null'\nfailover = ['a']", "which is no other backend"),
        ("[backends.a]\ndriver = 'null'\nisolation = 'process'", "hides nothing from algorithms"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(file, text, told):
    assert told in refusal(file(text))


def test_the_level_process_is_for_services_whose_users_are_trusted(file):
    path = file("trust_users = true\n[backends.a]\ndriver = 'null'\nisolation = 'process'")
    assert reading(path).settings.backends["a"].isolation == "process"


def test_a_missing_file_is_refused_with_the_command_that_writes_one(tmp_path):
    assert "qi-run config init" in refusal(tmp_path / "none.toml")


def test_a_variable_that_sets_nothing_is_refused_with_the_nearest_that_does():
    told = refusal(environment={"QI_RUN_SERVE_LISTEN_PROT": "1"})
    assert "QI_RUN_SERVE_LISTEN_PROT sets nothing; did you mean QI_RUN_SERVE_LISTEN_PORT?" in told


def test_a_variable_of_the_wrong_form_is_refused():
    told = refusal(environment={"QI_RUN_SERVE_LISTEN_PORT": "all"})
    assert "QI_RUN_SERVE_LISTEN_PORT is a whole number as TOML writes it, not 'all'" in told


def test_every_variable_names_one_setting():
    variables = [variable_of(entry.key) for entry in entries() if ANY_NAME not in entry.key]
    assert len(variables) == len(set(variables))


# ------------------------------------------------------------------ limits of jobs


def test_a_job_without_limits_gets_the_defaults_and_no_more_than_the_maxima():
    settings = LimitsSettings(defaults=LimitSettings(steps=10), maxima=LimitSettings(steps=50, wall_s=60.0))
    assert bounded({}, settings) == Limits(steps=10, wall_s=60.0)
    assert bounded({"steps": 30, "wall_s": 5.0}, settings) == Limits(steps=30, wall_s=5.0)
    assert bounded({"steps": 1000, "wall_s": None}, settings) == Limits(steps=50, wall_s=60.0)


def test_unknown_limits_are_refused():
    with pytest.raises(InvalidInput, match="limit 'step' is not known; there are steps, shots"):
        bounded({"step": 5}, LimitsSettings())


# ------------------------------------------------------------------ as text


def test_the_template_sets_what_holds_without_it(file):
    written = reading(file(template())).settings
    assert msgspec.structs.replace(written, data="") == Settings()


def test_every_line_of_the_template_can_be_set(file):
    text = re.sub(r"^#(\w)", r"\1", template(), flags=re.MULTILINE)
    effective = reading(file(text))
    assert {one.key for one in values(effective.settings)} - effective.sources.keys() == set()


def test_what_is_shown_is_what_holds(file):
    path = file("[backends.a]\ndriver = 'null'\noptions = {x = [1, 2.5, true]}\n[limits.maxima]\nwall_s = 60")
    before = reading(path).settings
    assert reading(file(shown(reading(path)))).settings == before


def test_passwords_are_not_shown(file):
    path = file(
        "database = 'postgresql://me:pa55@host/jobs'\n"
        "[backends.a]\ndriver = 'null'\noptions = {api_token = 'pa55', deep = {password = 'pa55'}}"
    )
    text = shown(reading(path))
    assert "pa55" not in text
    assert "postgresql://me:***@host/jobs" in text


@pytest.mark.parametrize("value", ["a 'b' \"c\" \n é", 5, 2.5, True, [1, "x"], {"a b": {"c": [1]}}, 1e30])
def test_values_are_written_as_toml_reads_them(value):
    assert tomllib.loads(f"value = {toml(value)}")["value"] == value


def test_every_setting_says_what_it_is_for():
    assert [entry.key for entry in entries() if not entry.meaning.endswith(".")] == []
