"""The OpenAPI 3.1 description of every route, put together from `schemas/`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib import resources
from typing import Any

import schemas
from service.config import VERSION

_SCHEMA_FILE = re.compile(r'"([a-z-]+)\.schema\.json[#"]')
_REFERENCE = re.compile(r"(?:(?P<file>[a-z-]+)\.schema\.json)?(?:#/\$defs/(?P<definition>[a-z-]+))?")
# They name a file, and inside one document there is none to name.
_FILE_KEYWORDS = ("$id", "$schema", "$defs")


def build_openapi(base_url: str) -> dict[str, Any]:
    """One self-contained document with `base_url` as its server.

    Each schema file becomes the component of its name, each of its `$defs` one named `FILE.DEFINITION`.
    """
    document = json.loads(resources.files(schemas).joinpath("openapi.json").read_text("utf-8"))
    names = sorted(_reachable(document))
    document = _rewrite(document, home=None)
    document["info"]["version"] = VERSION
    document["servers"] = [{"url": base_url}]
    document["components"]["schemas"] = {key: schema for name in names for key, schema in _components(name)}
    return document


def _reachable(document: dict[str, Any]) -> set[str]:
    """The names of the schema files that the document refers to, at first or second hand."""
    found: set[str] = set()
    waiting = [document]
    while waiting:
        new = set(_SCHEMA_FILE.findall(json.dumps(waiting.pop()))) - found
        found |= new
        waiting += [schemas.load_schema(name) for name in new]
    return found


def _components(name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    schema = schemas.load_schema(name)
    whole = {keyword: value for keyword, value in schema.items() if keyword not in _FILE_KEYWORDS}
    yield name, _rewrite(whole, home=name)
    for definition, part in schema.get("$defs", {}).items():
        yield f"{name}.{definition}", _rewrite(part, home=name)


def _rewrite(node: Any, home: str | None) -> Any:
    """A copy whose references lead to components; `home` is the schema file that the node stands in."""
    if isinstance(node, list):
        return [_rewrite(item, home) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: _component(value, home) if key == "$ref" else _rewrite(value, home)
        for key, value in node.items()
    }


def _component(reference: str, home: str | None) -> str:
    match = _REFERENCE.fullmatch(reference)
    if match is None:
        return reference
    parts = (match["file"] or home, match["definition"])
    return "#/components/schemas/" + ".".join(part for part in parts if part)
