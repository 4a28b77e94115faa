"""Draws the Mermaid diagrams of the documentation while the site is built.

The pages then hold the drawings themselves, and a reader's browser fetches no script from anywhere.
"""

from __future__ import annotations

import hashlib
from typing import Any

import mermaidx
from pymdownx.superfences import SuperFencesException


def fence(source: str, _language: str, css_class: str, *_rest: Any, **_options: Any) -> str:
    """The drawing of one fenced block, as inline SVG.

    Raises:
        SuperFencesException: the block is not valid Mermaid; only this exception stops the build.
    """
    try:
        svg = str(mermaidx.render(source).svg())
    except RuntimeError as error:
        raise SuperFencesException(f"a Mermaid diagram cannot be drawn: {error}\n{source}") from error
    # Every drawing comes with the same id, on which its style sheet and its arrow heads depend.
    name = "diagram-" + hashlib.sha256(source.encode()).hexdigest()[:12]
    return f'<div class="{css_class}">{svg.replace("my-svg", name)}</div>'
