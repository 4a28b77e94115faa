"""The quantum runtime: the process that owns a driver and answers execute requests."""
