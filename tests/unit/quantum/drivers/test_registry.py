from __future__ import annotations

import sys

import pytest

from hybrid_runtime.errors import BackendFailed, BackendUnknown, InvalidInput
from hybrid_runtime.quantum.drivers import registry
from hybrid_runtime.quantum.drivers.scripted import NullDriver


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A package of somebody else that registers three drivers."""
    (tmp_path / "their_driver.py").write_text(
        "from hybrid_runtime.quantum.drivers.scripted import NullDriver\n"
        "class Fridge(NullDriver): ...\n"
        "def broken(): raise RuntimeError('no power')\n"
    )
    info = tmp_path / "their_driver-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-driver\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[hybrid_runtime.drivers]\n"
        "fridge = their_driver:Fridge\n"
        "broken = their_driver:broken\n"
        "gone = their_driver_that_is_not_installed:Driver\n"
        "null = their_driver:Fridge\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("their_driver", None)


def test_the_built_in_drivers_are_listed():
    assert {"null", "paced", "qulacs", "scripted"} <= set(registry.names())


@pytest.mark.parametrize(
    ("name", "options"),
    [("null", {}), ("qulacs", {"max_qubits": 4}), ("scripted", {"answers": []}), ("paced", {"inner": "null"})],
)
def test_built_in_drivers_open_by_name(name, options):
    driver = registry.open(name, options)
    assert driver.capabilities().driver == name
    driver.close()


@pytest.mark.usefixtures("installed")
def test_drivers_of_other_packages_open_by_name():
    assert "fridge" in registry.names()
    driver = registry.open("fridge", {"capabilities": {"qubits": 3}})
    assert type(driver).__name__ == "Fridge"
    assert driver.capabilities().qubits == 3


@pytest.mark.usefixtures("installed")
def test_a_built_in_driver_wins_over_another_of_its_name():
    assert type(registry.open("null")) is NullDriver


def test_an_unknown_driver_is_answered_by_the_nearest_and_by_all():
    with pytest.raises(BackendUnknown, match=r"did you mean 'qulacs'\? available: .*null.*scripted"):
        registry.open("qulax")


def test_an_unknown_option_is_answered_by_those_there_are():
    with pytest.raises(InvalidInput, match=r"wings.*its options: max_qubits"):
        registry.open("qulacs", {"wings": 2})


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(("name", "why"), [("broken", "no power"), ("gone", "install the package")])
def test_a_driver_that_does_not_start_says_why(name, why):
    with pytest.raises(BackendFailed, match=why):
        registry.open(name)
