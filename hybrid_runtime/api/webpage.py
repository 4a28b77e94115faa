"""The OpenAPI description as one page for people: no scripts, nothing fetched from elsewhere."""

from __future__ import annotations

import json
from html import escape
from typing import Any

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
code, pre { font: 14px/1.4 ui-monospace, monospace } pre { background: #f4f4f4; padding: .6rem; overflow-x: auto }
details { border: 1px solid #ccc; border-radius: 4px; margin: .4rem 0; padding: .4rem .8rem }
summary { cursor: pointer } .method { display: inline-block; width: 4.5rem; font-weight: bold }
table { border-collapse: collapse; margin: .5rem 0 }
td, th { text-align: left; padding: .15rem .8rem .15rem 0; vertical-align: top }
@media (prefers-color-scheme: dark) {
  body { background: #1b1b1b; color: #ddd } pre { background: #2a2a2a } a { color: #8cf }
}
"""


def page(schema: dict[str, Any]) -> str:
    """The whole page."""
    info = schema["info"]
    sections = [_section(schema, tag) for tag in schema["tags"]]
    schemas = "".join(_schema(name, found) for name, found in sorted(schema["components"]["schemas"].items()))
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(info["title"])}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>'
        f"<h1>{escape(info['title'])} {escape(info['version'])}</h1>{_paragraphs(info['description'])}"
        f'<p>For programs: <a href="openapi.json">openapi.json</a></p>'
        f"{''.join(sections)}<h2>Schemas</h2>{schemas}</body></html>"
    )


def _paragraphs(text: str) -> str:
    return "".join(f"<p>{escape(part)}</p>" for part in text.strip().split("\n\n"))


def _section(schema: dict[str, Any], tag: dict[str, str]) -> str:
    operations = "".join(
        _operation(method, path, operation)
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
        if tag["name"] in operation["tags"]
    )
    return f"<h2>{escape(tag['name'].capitalize())}</h2><p>{escape(tag['description'])}</p>{operations}"


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    parameters = "".join(_parameter(found) for found in operation.get("parameters", []))
    table = f"<table><tr><th>parameter</th><th>in</th><th>meaning</th></tr>{parameters}</table>" if parameters else ""
    body = "".join(
        f"<p>Body: <code>{escape(media)}</code> {_reference(found.get('schema', {}))}</p>"
        for media, found in operation.get("requestBody", {}).get("content", {}).items()
    )
    answers = "".join(_answer(str(status), found) for status, found in operation["responses"].items())
    return (
        f'<details id="{escape(operation["operationId"])}"><summary><span class="method">{method.upper()}</span>'
        f"<code>{escape(path)}</code> {escape(operation['summary'])}</summary>"
        f"{_paragraphs(operation['description'])}{table}{body}"
        f"<table><tr><th>status</th><th>meaning</th><th>body</th></tr>{answers}</table></details>"
    )


def _parameter(found: dict[str, Any]) -> str:
    need = "" if not found.get("required") else " (needed)"
    text = f"{found.get('description', '')}{need}"
    return (
        f"<tr><td><code>{escape(found['name'])}</code></td><td>{escape(found['in'])}</td><td>{escape(text)}</td></tr>"
    )


def _answer(status: str, found: dict[str, Any]) -> str:
    bodies = ", ".join(
        f"<code>{escape(media)}</code> {_reference(body.get('schema', {}))}"
        for media, body in found.get("content", {}).items()
    )
    return f"<tr><td>{escape(status)}</td><td>{escape(found['description'])}</td><td>{bodies}</td></tr>"


def _reference(schema: dict[str, Any]) -> str:
    options = [schema, *schema.get("anyOf", [])]
    names = [option["$ref"].rpartition("/")[2] for option in options if "$ref" in option]
    return ", ".join(f'<a href="#{escape(name)}">{escape(name)}</a>' for name in names)


def _schema(name: str, schema: dict[str, Any]) -> str:
    text = escape(json.dumps(schema, indent=2))
    return f'<details id="{escape(name)}"><summary><code>{escape(name)}</code></summary><pre>{text}</pre></details>'
