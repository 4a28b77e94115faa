from __future__ import annotations

import pickle
from importlib import metadata

import numpy as np

from hybrid_runtime.packages import modules_in, versions


def test_versions_are_those_installed_here():
    assert versions({"numpy", "json", "hybrid_runtime"}) == {"numpy": metadata.version("numpy")}


def test_a_package_that_brings_a_module_of_another_name_is_found():
    # pyzmq brings `zmq`.
    assert versions({"zmq"}) == {"pyzmq": metadata.version("pyzmq")}


def test_what_is_not_installed_here_has_no_version():
    assert versions({"no_such_package_at_all"}) == {}


def test_modules_of_a_pickle_are_told_without_loading_it():
    data = pickle.dumps([np.array([1.0]), "a text"])
    assert "numpy" in modules_in(data)
    assert "a text" not in modules_in(data)
