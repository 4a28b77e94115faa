"""What users test their algorithms with: doubles, recorded runs and faults.

::

    def test_the_angle_grows_until_the_qubit_is_flipped():
        outcome = drive(Search, [{"0": 900, "1": 124}, {"0": 1, "1": 1023}])

        assert outcome.value == {"theta": 0.1}
        assert outcome.requests[1] == [circuit.bind(theta=0.1)]

`doubles` drives an algorithm in the test's own process against results that the test makes up, `recorded` against
those of a former run. `faults` breaks a real runtime on purpose. `ScriptedDriver` is the double for the other side:
a backend with a script, for a `LocalRuntime("scripted", options={"answers": […]})` or for tests of a quantum runtime.
"""

from __future__ import annotations

from hybrid_runtime.quantum.drivers.scripted import Crash, Delay, Hang, ScriptedDriver
from hybrid_runtime.testing.doubles import Outcome, StubExchange, drive
from hybrid_runtime.testing.recorded import Replayed, replay

__all__ = ["Crash", "Delay", "Hang", "Outcome", "Replayed", "ScriptedDriver", "StubExchange", "drive", "replay"]
