"""The client of a job manager: `Client` and `AsyncClient`, two ways of sending what one core decides."""
