"""`qi-run new`: a template as a file of one's own."""

from __future__ import annotations

import ast
from difflib import get_close_matches
from importlib import resources
from pathlib import Path
from typing import Annotated

import typer

from hybrid_runtime.cli.codes import ExitCode
from hybrid_runtime.cli.streams import say, write
from hybrid_runtime.errors import InternalError, InvalidInput

Template = Annotated[
    str | None, typer.Argument(metavar="[TEMPLATE]", help="Its name; all are listed without one.", show_default=False)
]
Destination = Annotated[
    Path | None,
    typer.Argument(metavar="[DEST]", help="File or folder to copy it to; here, under its name.", show_default=False),
]


def new(template: Template = None, destination: Destination = None) -> int:
    """Copy a template to start from, or list the templates."""
    templates = find_templates()
    if template is None:
        width = max(map(len, templates))
        for name, text in templates.items():
            write(f"{name:{width}}  {description(text)}")
        return ExitCode.COMPLETED
    name = template.removesuffix(".py").replace("-", "_")
    if name not in templates:
        near = get_close_matches(name, templates, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise InvalidInput(f"no template is named {template!r}; {hint}there are: {', '.join(templates)}")
    copied = copy(templates[name], destination, f"{name}.py")
    say(f"made {copied}; run it with: qi-run run {copied}")
    return ExitCode.COMPLETED


def find_templates() -> dict[str, str]:
    """The text of every template, by name.

    Raises:
        InternalError: the installation lacks them.
    """
    installed = resources.files("hybrid_runtime") / "user_templates"
    # In a checkout they are at its top, where people read them; the wheel holds a copy inside the package.
    folder = installed if installed.is_dir() else Path(__file__).parents[2] / "user_templates"
    found = {
        entry.name.removesuffix(".py"): entry.read_text(encoding="utf-8")
        for entry in (folder.iterdir() if folder.is_dir() else ())
        if entry.name.endswith(".py")
    }
    if not found:
        raise InternalError("the templates are missing from this installation: install the package again")
    return dict(sorted(found.items()))


def description(text: str) -> str:
    """The first line of a template's docstring."""
    return (ast.get_docstring(ast.parse(text)) or "").split("\n")[0].rstrip(".")


def copy(text: str, destination: Path | None, name: str) -> Path:
    """Write the text to a new file; its path.

    Args:
        text: What to write.
        destination: A file, or a folder in which it is named `name`; None is the present folder.
        name: Its name where the destination has none.

    Raises:
        InvalidInput: the file exists, or cannot be written.
    """
    target = Path(name) if destination is None else destination
    if target.is_dir():
        target = target / name
    try:
        with target.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise InvalidInput(f"{target} exists and is left as it is: name another file, or remove it") from None
    except OSError as error:
        raise InvalidInput(f"{target} cannot be written: {error.strerror}; choose another place") from error
    return target
