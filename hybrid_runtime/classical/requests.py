"""From what an algorithm sees to what travels: circuits as calls of programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hybrid_runtime.classical.locating import located
from hybrid_runtime.errors import CircuitRejected
from hybrid_runtime.languages.compiler import Compiler
from hybrid_runtime.protocol.messages import MAX_CIRCUITS_PER_STEP, MAX_PROGRAMS_PER_STEP, CircuitCall

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from hybrid_runtime.circuit import Circuit, Settings
    from hybrid_runtime.languages.compiler import Compiled
    from hybrid_runtime.program import Program
    from hybrid_runtime.protocol.replay import Canonical


class Requests:
    """Makes the requests of one job.

    Args:
        folder: Where the user's own files are, for messages about them.

    Attributes:
        compiler: What it compiles with.
        sent: Numbers of the programs that the dispatcher knows.
        asked: The calls of the step that was made last.
        shots: As they travel, of the step of one circuit that was made last.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.compiler = Compiler()
        self.sent: set[int] = set()
        self.asked: list[CircuitCall] = []
        self.shots = 0
        # Of that step's circuit: most are followed by others like it.
        self._settings: Settings | None = None
        self._default: int | None = None

    def _one(self, circuit: Circuit, default: int | None) -> tuple[Compiled, int, bool]:
        """A circuit's program and values, its shots as they travel, and whether each is wanted."""
        settings = circuit.settings
        try:
            compiled = self.compiler.compile(circuit)
            if settings is not self._settings or default is not self._default:
                self.shots = _shots(settings.shots_asked(default))
                # Last: what is refused is not remembered.
                self._settings, self._default = settings, default
        except CircuitRejected as error:
            raise located(error, circuit, None, self._folder) from None
        return compiled, self.shots, settings.raw

    def canonical(
        self, circuits: list[Circuit], default: int | None, canonical: Canonical
    ) -> tuple[bytes, Collection[tuple[int, Program]]]:
        """What a step of these circuits asks for, in the form that is recorded, and the programs in it.

        Raises:
            CircuitRejected: one of them cannot be sent.
        """
        if len(circuits) == 1:
            compiled, shots, raw = self._one(circuits[0], default)
            program = compiled.key, compiled.program
            return canonical.one(program, shots, compiled.values, raw), (program,)
        calls, programs = self.calls(circuits, default)
        return canonical.many(calls, programs.items()), programs.items()

    def calls(self, circuits: list[Circuit], default: int | None) -> tuple[list[CircuitCall], dict[int, Program]]:
        """Circuits as calls, neighbours of one program as the rows of one call, and the programs not sent yet.

        Args:
            circuits: Those of one step.
            default: Shots of those that name none; None for exact results.

        Raises:
            CircuitRejected: one of them cannot be sent, or they are too many.
        """
        if len(circuits) == 1:
            compiled, shots, raw = self._one(circuits[0], default)
            key = compiled.key
            new = {} if key in self.sent else {key: compiled.program}
            self.asked = [CircuitCall(key, shots, 1, compiled.values, raw)]
            return self.asked, new
        if len(circuits) > MAX_CIRCUITS_PER_STEP:
            raise CircuitRejected(f"a step has 1 to {MAX_CIRCUITS_PER_STEP} circuits, not {len(circuits)}: split it")
        calls: list[CircuitCall] = []
        programs: dict[int, Program] = {}
        last: tuple[int, int, bool] | None = None
        values: list[bytes] = []
        settings: Settings | None = None
        shots, raw = 0, False
        index = rows = 0
        while index < len(circuits):
            circuit = circuits[index]
            try:
                compiled, count = self.compiler.compile_rows(circuits, index)
                if circuit.settings is not settings:
                    settings = circuit.settings
                    shots, raw = _shots(settings.shots_asked(default)), settings.raw
            except CircuitRejected as error:
                raise located(error, circuit, index, self._folder) from None
            index += count
            if compiled.key not in self.sent and compiled.key not in programs:
                programs[compiled.key] = compiled.program
                if len(programs) > MAX_PROGRAMS_PER_STEP:
                    raise CircuitRejected(f"a step has at most {MAX_PROGRAMS_PER_STEP} different circuits: split it")
            if last == (compiled.key, shots, raw):
                values.append(compiled.values)
                rows += count
                continue
            if last is not None:
                calls.append(CircuitCall(last[0], last[1], rows, b"".join(values), last[2]))
            last, values, rows = (compiled.key, shots, raw), [compiled.values], count
        assert last is not None
        calls.append(CircuitCall(last[0], last[1], rows, b"".join(values) if len(values) > 1 else values[0], last[2]))
        self.asked = calls
        return calls, programs


def _shots(value: object) -> int:
    """The shots as they travel: 0 for an exact result."""
    if value is None:
        return 0
    try:
        shots = int(value)  # type: ignore[call-overload]
        if shots == value and not isinstance(value, bool) and abs(shots) < 1 << 63:
            if shots == 0:
                raise CircuitRejected("0 shots have no result; for exact probabilities, write exact=True")
            return int(shots)
    except (TypeError, ValueError, OverflowError):
        pass  # refused below, with the same sentence as a fraction
    raise CircuitRejected(f"shots is a whole number, not {value!r:.60}")
