"""A connection to the server that the user means, and the job."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hybrid_runtime.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from hybrid_runtime.client.sync import Client, Job
    from hybrid_runtime.resources.backends import Environment

_WHOLE_ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{12}")
# Whoever means an older one gives the whole id.
_LOOK_AT = 1000
_SHOWN = 5


def connect(server: str | None) -> Client:
    """A client of the server; whoever asks for it closes it.

    Raises:
        HybridRuntimeError: nothing says which server, or there is no token for it.
    """
    from hybrid_runtime.client.sync import Client  # takes longer to import than all other commands together

    return Client(server)


def find_job(client: Client, text: str) -> Job:
    """The job that the user means.

    Raises:
        NotFound: there is none.
        InvalidInput: it may be one of several.
    """
    if text == "last":
        newest = client.jobs(user=client.whoami().user.name, limit=1)
        if not newest:
            raise NotFound("you have no job on this server yet: qi-run upload FILE queues one")
        return newest[0]
    if _WHOLE_ID.fullmatch(text):
        return client.job(text)
    found = [job for job in client.jobs(limit=_LOOK_AT) if _begins(job.id, text)]
    if not found:
        raise NotFound(f"no job of the newest {_LOOK_AT} begins with {text!r:.80}; qi-run jobs lists them")
    if len(found) > 1:
        some = ", ".join(job.id for job in found[:_SHOWN]) + (", …" if len(found) > _SHOWN else "")
        raise InvalidInput(f"{text!r:.80} is the beginning of {len(found)} jobs: {some}; give more of it")
    return found[0]


def _begins(job_id: str, text: str) -> bool:
    return bool(text) and (job_id.startswith(text) or job_id.rpartition("-")[2].startswith(text))


def environment_named(environments: list[Environment], name: str) -> Environment:
    """The environment of this name.

    Raises:
        NotFound: the server has none.
    """
    found = next((one for one in environments if one.name == name), None)
    if found is None:
        known = ", ".join(one.name for one in environments) or "none yet"
        raise NotFound(f"this server has no environment {name!r:.80}; there are: {known}")
    return found
