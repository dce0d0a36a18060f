"""The query of an address under /v1: only what the contract names for it, so that a slip of the pen is told."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from typing import Any

from flask import request

from service.api.openapi import build_openapi
from service.edge import services
from service.errors import Fault, Invalid
from service.text import strip_non_xml

_PART = re.compile(r"<[^>]+>|\{[^}]+\}")


def check_query() -> None:
    """Before each request: refuse a parameter that this address does not know. Raises Invalid."""
    if request.url_rule is None or not request.path.startswith("/v1/"):
        return  # links to pages carry whatever newsletters add to them
    known = _described().get(_PART.sub("{}", request.url_rule.rule), ())
    unknown = [name for name in request.args if name not in known]
    if unknown:
        raise Invalid([
            Fault(pointer=f"/{name}", code="unknown_parameter", params={"name": name, "known": known})
            for name in unknown
        ])


def read_language() -> str | None:
    """The newsroom's language that the query names. Raises Invalid for another one."""
    tag = request.args.get("language")
    if tag is not None and services().profile.find_language(tag) is None:
        known = [language.tag for language in services().profile.languages]
        raise Invalid([Fault(pointer="/language", code="unknown_language", params={"known": known})])
    return tag


def read_words() -> str | None:
    """What the query looks for; None where it looks for nothing. Raises Invalid for control characters."""
    words = request.args.get("q", "")
    if strip_non_xml(words)[1]:
        raise Invalid([Fault(pointer="/q", code="not_one_line")])
    return words.strip() or None


@functools.cache
def _described() -> Mapping[str, list[str]]:
    """The shape of each path, and the names of the query parameters that the contract gives it."""
    document = build_openapi("")
    return {
        _PART.sub("{}", path): [name for operation in item.values() for name in _query_names(document, operation)]
        for path, item in document["paths"].items()
    }


def _query_names(document: dict[str, Any], operation: Any) -> Iterator[str]:
    for parameter in operation.get("parameters", ()) if isinstance(operation, dict) else ():
        if "$ref" in parameter:
            parameter = document["components"]["parameters"][parameter["$ref"].rpartition("/")[2]]
        if parameter["in"] == "query":
            yield parameter["name"]
