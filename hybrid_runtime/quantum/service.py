"""The loop of a quantum runtime: take a message, have it done, answer.

Whatever is wrong with a request is answered by a `Failure`; the process stays up for the next one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hybrid_runtime.errors import ChannelClosed, ProtocolError
from hybrid_runtime.protocol.messages import (
    PROTOCOL_VERSION,
    Define,
    Execute,
    Forget,
    Serving,
    ToQuantum,
    decode,
    decoder,
    encode,
)
from hybrid_runtime.protocol.sessions import Doing
from hybrid_runtime.quantum.driver import QuantumDriver, TellsState
from hybrid_runtime.quantum.executor import Executor, failure

if TYPE_CHECKING:
    from hybrid_runtime.protocol.channel import Channel


def serve(driver: QuantumDriver, channel: Channel, *, name: str | None = None, tell_states: bool = False) -> None:
    """Announce the driver and answer requests until the peer closes the channel; then close the driver.

    Args:
        driver: What runs the circuits; `serve` owns it.
        channel: Where requests come from; the caller closes it.
        name: The backend's name as users see it; the driver's own when None.
        tell_states: Whether to send `Doing` where the driver knows what its backend does.

    Raises:
        ProtocolError: the channel itself is broken, so nothing more can be read from it.
    """
    try:
        executor = Executor(driver, name)
        if tell_states and isinstance(driver, TellsState):
            driver.watch(lambda state: channel.send(encode(Doing(state))))
        _run(executor, channel)
    finally:
        driver.close()


def _run(executor: Executor, channel: Channel) -> None:
    receive, send = channel.receive, channel.send
    messages = decoder(ToQuantum)
    try:
        send(encode(Serving(PROTOCOL_VERSION, executor.capabilities)))
        while True:
            data = receive()
            try:
                message = decode(messages, data)
            except ProtocolError as error:
                # It cannot be told which request it was; the framing is whole, so the next one can be read.
                send(encode(failure(0, error)))
                continue
            if isinstance(message, Execute):
                send(encode(executor.answer(message)))
            elif isinstance(message, Define):
                executor.define(message.program, message.body)
            elif isinstance(message, Forget):
                executor.forget(message.programs)
            # `Withdraw` is left: what it is about has been answered by the time it is read.
    except ChannelClosed:
        return
