"""The database may be out of reach for a while: whoever needs it again and again says so once, not each time."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from hybrid_runtime.errors import HybridRuntimeError

if TYPE_CHECKING:
    from collections.abc import Callable

_log = logging.getLogger(__name__)


class Attempts:
    """Work that is tried again later where it cannot be done."""

    def __init__(self) -> None:
        self._trouble = ""

    def __call__(self, work: Callable[[], object]) -> bool:
        """Do it; whether it could be done."""
        try:
            work()
        except HybridRuntimeError as error:
            if str(error) != self._trouble:
                self._trouble = str(error)
                _log.error("%s: %s; this is tried again", type(error).__name__, error)
            return False
        if self._trouble:
            self._trouble = ""
            _log.info("what could not be done before can be done again")
        return True
