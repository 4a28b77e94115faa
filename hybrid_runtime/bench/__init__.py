"""Measures what the runtime itself costs, beside a floor in C and beside peers, for `qi-run bench`."""
