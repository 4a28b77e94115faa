"""A quantum runtime of the kind that Appendix A of the paper shows: REP, a circuit as a string in, a string out.

Reconstructed from the paper's description; only the address is an argument.
"""

import sys

import qxelarator  # type: ignore[import-not-found]
import zmq

context = zmq.Context()
socket = context.socket(zmq.REP)
socket.bind(sys.argv[1])
print(socket.getsockopt_string(zmq.LAST_ENDPOINT), flush=True)

while True:
    circuit = socket.recv_string()
    result = qxelarator.execute_string(circuit, iterations=100)
    socket.send_string(str(result))
