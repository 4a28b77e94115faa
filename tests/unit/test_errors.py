"""Errors as data, and back."""

from __future__ import annotations

import pickle

import pytest

from hybrid_runtime import errors
from hybrid_runtime.errors import (
    BackendFailed,
    CircuitRejected,
    ErrorData,
    HybridRuntimeError,
    InternalError,
    InvalidInput,
    StopRequested,
    UserCodeError,
    as_data,
    error_classes,
    exit_code,
    rebuild,
)


@pytest.mark.parametrize("cls", error_classes().values(), ids=lambda cls: cls.__name__)
def test_every_error_survives_the_way_through_data(cls):
    error = rebuild(as_data(cls("the cause", traceback="line 3")))
    assert type(error) is cls
    assert str(error) == "the cause"
    assert error.traceback == "line 3"


@pytest.mark.parametrize("cls", error_classes().values(), ids=lambda cls: cls.__name__)
def test_every_error_without_a_text_says_what_it_is(cls):
    assert str(cls()) == cls.__doc__.strip()


@pytest.mark.parametrize("cls", error_classes().values(), ids=lambda cls: cls.__name__)
def test_every_error_can_be_pickled(cls):
    assert str(pickle.loads(pickle.dumps(cls("the cause")))) == "the cause"


@pytest.mark.parametrize(
    ("cls", "code"),
    [
        ("InvalidInput", 2),
        ("BundleError", 2),
        ("UserCodeError", 1),
        ("AlgorithmTimeout", 1),
        ("ResultNotEncodable", 1),
        ("CircuitRejected", 1),
        ("BackendUnknown", 2),
        ("BackendFailed", 3),
        ("BackendTimeout", 3),
        ("WorkerLost", 1),
        ("ReplayDiverged", 1),
        ("JournalError", 2),
        ("JournalFull", 2),
        ("NotFound", 2),
        ("Forbidden", 2),
        ("Unauthenticated", 2),
        ("Conflict", 2),
        ("QuotaExceeded", 2),
        ("LeaseLost", 70),
        ("Unavailable", 3),
        ("ServerError", 70),
        ("JobCancelled", 4),
        ("InternalError", 70),
    ],
)
def test_exit_codes_tell_whose_fault_it_was(cls, code):
    assert exit_code(ErrorData(kind=cls, text="", family=cls)) == code


def test_a_job_without_an_error_exits_with_0():
    assert exit_code(None) == 0


def test_a_users_own_exception_keeps_its_name_under_our_class():
    error = rebuild(ErrorData(kind="ZeroDivisionError", text="division by zero", family="UserCodeError"))
    assert type(error) is UserCodeError
    assert str(error) == "ZeroDivisionError: division by zero"


def test_a_family_that_nobody_knows_is_our_own_fault():
    data = ErrorData(kind="Odd", text="?", family="Odd")
    assert type(rebuild(data)) is InternalError
    assert exit_code(data) == 70


def test_input_errors_are_value_errors_too():
    with pytest.raises(ValueError, match="no"):
        raise InvalidInput("no")


def test_a_stop_is_not_caught_by_those_who_catch_exceptions():
    assert not issubclass(StopRequested, Exception)
    assert StopRequested("wall").reason == "wall"


def test_circuit_and_backend_faults_can_be_caught_together():
    assert issubclass(CircuitRejected, errors.QuantumError)
    assert issubclass(BackendFailed, errors.QuantumError)
    assert issubclass(errors.QuantumError, HybridRuntimeError)


def test_refusals_of_a_job_manager_say_more_than_their_text():
    assert errors.Unauthenticated("no", reason="expired").reason == "expired"
    assert errors.QuotaExceeded("later", retry_after_s=2.5).retry_after_s == 2.5
