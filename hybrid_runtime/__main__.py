"""`python -m hybrid_runtime` is the command `qi-run`."""

from __future__ import annotations

import sys

from hybrid_runtime.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
