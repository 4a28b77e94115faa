"""What a job manager's REST API says and takes: one definition for the server, its OpenAPI page and the clients.

Plain dataclasses, so that both sides can use them with what each has: the server validates with pydantic, the client
decodes with msgspec, and neither needs the other's library. Times are seconds since 1970, durations are seconds.
Values of algorithms and their parameters are JSON here, in the form that `values.to_json` gives them.
"""
