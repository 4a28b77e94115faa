"""`qi-run serve`: the processes of a job manager on one host, put together, supervised and configured."""
