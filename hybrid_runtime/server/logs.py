"""The service's own log: one line an event, on stderr, where a service manager or a terminal takes it."""

from __future__ import annotations

import json
import logging
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hybrid_runtime.server.settings import LogSettings


class _JsonLines(logging.Formatter):
    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": record.created,
            "level": record.levelname.lower(),
            "process": self._process,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)


class _Text(logging.Formatter):
    def __init__(self, process: str) -> None:
        super().__init__(f"%(asctime)s.%(msecs)03dZ %(levelname)-7s {process}: %(message)s", "%Y-%m-%dT%H:%M:%S")
        self.converter = time.gmtime

    def format(self, record: logging.LogRecord) -> str:
        # One event stays one line, whatever a job or a driver wrote into it; only a traceback takes more.
        text = super().format(record)
        return text if record.exc_info else text.replace("\r", "\\r").replace("\n", "\\n")


def begin_log(settings: LogSettings, process: str) -> None:
    """Write the log of this process from now on."""
    handler = logging.StreamHandler()
    handler.setFormatter(_JsonLines(process) if settings.format == "json" else _Text(process))
    logging.basicConfig(handlers=[handler], level=settings.level.upper(), force=True)
    for name, wanted in (("hybrid_runtime.access", settings.access), ("alembic", False), ("uvicorn", False)):
        if not wanted:
            logging.getLogger(name).setLevel(logging.WARNING)
