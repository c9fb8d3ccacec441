"""The reference page at `/docs`: the OpenAPI document as one page of plain HTML, without a script or a foreign file."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any, Final

_STYLE: Final = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 0 auto; padding: 1rem; }
code, pre { font-family: ui-monospace, monospace; font-size: .9em; }
pre { overflow-x: auto; padding: .75rem; border: 1px solid #8886; border-radius: .4rem; }
section { border-top: 1px solid #8886; padding: .5rem 0 1rem; }
h3 { margin: .5rem 0; overflow-wrap: anywhere; }
.method { display: inline-block; min-width: 4.5rem; font-weight: 700; }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; vertical-align: top; padding: .2rem .8rem .2rem 0; }
"""
CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'"
)


def reference_page(document: dict[str, Any]) -> str:
    """Write the page."""
    return "".join(_page(document))


def _page(document: dict[str, Any]) -> Iterator[str]:
    title = escape(f"{document['info']['title']} {document['info']['version']}")
    yield f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title} – API reference</title>'
    yield f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body><main>'
    yield f"<h1>{title}</h1><p>{escape(document['info'].get('description', ''))}</p>"
    yield '<p>The same as a file for programs: <a href="/openapi.json">/openapi.json</a>.</p>'
    by_tag: dict[str, list[tuple[str, str, dict[str, Any]]]] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            by_tag.setdefault(operation["tags"][0], []).append((method.upper(), path, operation))
    yield "<nav><h2>Contents</h2><ul>"
    for tag in by_tag:
        yield f'<li><a href="#{_anchor(tag)}">{escape(tag)}</a></li>'
    yield '<li><a href="#events">webhook events</a></li></ul></nav>'
    for tag, operations in by_tag.items():
        yield f'<h2 id="{_anchor(tag)}">{escape(tag)}</h2>'
        for method, path, operation in operations:
            yield from _operation(method, path, operation, document["components"]["responses"])
    yield '<h2 id="events">webhook events</h2>'
    for name, item in document.get("webhooks", {}).items():
        yield f"<section><h3>{escape(name)}</h3><p>{escape(item['post'].get('description', ''))}</p></section>"
    yield "</main></body></html>"


def _operation(method: str, path: str, operation: dict[str, Any], shared: dict[str, Any]) -> Iterator[str]:
    yield f'<section id="{escape(operation["operationId"])}">'
    yield f'<h3><span class="method">{method}</span> <code>{escape(path)}</code></h3>'
    yield f"<p>{escape(operation.get('summary', ''))}</p>"
    facts = {
        "scope": operation.get("x-required-scope") or ("any key" if "security" in operation else "none, open"),
        "rate class": operation.get("x-rate-limit-class"),
        "idempotent by key": "yes" if operation.get("x-idempotent") else None,
    }
    yield "<p>" + " · ".join(f"{name}: <code>{escape(str(value))}</code>" for name, value in facts.items() if value)
    yield "</p>"
    parameters = operation.get("parameters", [])
    if parameters:
        yield "<table><tr><th>parameter</th><th>in</th><th></th></tr>"
        for parameter in parameters:
            yield f"<tr><td><code>{escape(parameter['name'])}</code></td><td>{parameter['in']}</td>"
            yield f"<td>{escape(parameter.get('description', ''))}</td></tr>"
        yield "</table>"
    yield "<table><tr><th>status</th><th>meaning</th></tr>"
    for status, response in operation["responses"].items():
        meaning = shared[response["$ref"].rpartition("/")[2]] if "$ref" in response else response
        yield f"<tr><td>{escape(status)}</td><td>{escape(meaning['description'])}</td></tr>"
    yield "</table></section>"


def _anchor(text: str) -> str:
    return "tag-" + escape(text.lower().replace(" ", "-"))
