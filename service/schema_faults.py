"""JSON Schema errors told as faults: where, what, and what would be right."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from typing import Any

import jsonschema_rs
import regex

import schemas
from service.errors import Fault, Invalid

# Control characters, line ends and halves of characters, which no database takes.
_UNPRINTABLE = regex.compile(r"[\p{Cc}\p{Cs}\p{Zl}\p{Zp}]")

# Keywords whose error needs nothing but its limit: keyword -> fault code.
_LIMITS = {
    "minLength": "too_short",
    "maxLength": "too_long",
    "minItems": "too_few",
    "maxItems": "too_many",
    "minProperties": "too_few",
    "minimum": "too_small",
    "maximum": "too_large",
    "uniqueItems": "repeated",
}


def find_schema_faults(name: str, document: Any) -> list[Fault]:
    """All that the document breaks of the schema `name`, in the order of their places.

    Raises Invalid for half a character, which JSON can write and the validator can't look at.
    """
    faults = [
        fault
        for error in _errors(name, document)
        for fault in _faults(error, name, _place_of(error, document))
    ]
    # A value that breaks both a format and a pattern is told once.
    told = {(fault.pointer, fault.code): fault for fault in reversed(faults)}
    return sorted(told.values(), key=lambda fault: fault.place)


def _errors(name: str, document: Any) -> Iterator[jsonschema_rs.ValidationError]:
    try:
        yield from schemas.find_validator(name).iter_errors(document)
    except UnicodeEncodeError:
        raise Invalid([Fault(pointer="", code="half_character")]) from None


def find_line_faults(document: Any, *names: str) -> Iterator[Fault]:
    """Of the members that name somebody or something, those that would break a line, a log or a terminal."""
    for name in names:
        value = document.get(name) if isinstance(document, dict) else None
        if isinstance(value, str) and _UNPRINTABLE.search(value):
            yield Fault(pointer=json_pointer(name), code="not_one_line")


def json_pointer(*steps: str | int) -> str:
    """RFC 6901: `("editions", "en")` is `/editions/en`."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps)


def _place_of(error: jsonschema_rs.ValidationError, document: Any) -> list[str | int]:
    """Where in the document the error is. Its own path leaves empty names out, so the value must tell."""
    places = list(_places(document, error.instance_path))
    return next((place for place, value in places if len(places) > 1 and value == error.instance), places[0][0])


def _places(node: Any, path: Sequence[str | int]) -> Iterator[tuple[list[str | int], Any]]:
    """Every place, with its value, that the path can mean: it may lead through any number of empty names."""
    steps = range(len(node)) if isinstance(node, list) else node if isinstance(node, dict) else ()
    if not path:
        yield [], node
    elif path[0] in steps:
        yield from (([path[0], *rest], value) for rest, value in _places(node[path[0]], path[1:]))
    if "" in steps:
        yield from ((["", *rest], value) for rest, value in _places(node[""], path))


def _faults(error: jsonschema_rs.ValidationError, name: str, place: Sequence[str | int]) -> Iterator[Fault]:
    keyword, value = error.kind.name, error.kind.value
    parent = _schema_at(name, error.evaluation_path[:-1])
    if keyword == "required":
        yield Fault(pointer=json_pointer(*place, value), code="missing", params={"name": value})
    elif keyword in ("additionalProperties", "unevaluatedProperties"):
        yield from (_unknown_field(place, name, list(parent.get("properties", ()))) for name in value)
    elif keyword == "falseSchema":
        yield Fault(pointer=json_pointer(*place), code="not_here", params={"name": place[-1]})
    elif keyword == "propertyNames":
        name = value.instance
        yield Fault(pointer=json_pointer(*place, name), code="wrong_name", params={"name": name})
    else:
        code, params = _value_fault(keyword, value, parent)
        yield Fault(pointer=json_pointer(*place), code=code, params=params)


def _unknown_field(place: Sequence[str | int], name: str, known: list[str]) -> Fault:
    near = difflib.get_close_matches(name, known, n=1)
    params = {"name": name, "known": near or sorted(known)}
    return Fault(pointer=json_pointer(*place, name), code="did_you_mean" if near else "unknown_field", params=params)


def _value_fault(keyword: str, value: Any, parent: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    if keyword in _LIMITS:
        return _LIMITS[keyword], {"limit": value}
    if keyword == "type":
        return "wrong_type", {"expected": value}
    if keyword in ("enum", "const"):
        return "not_allowed", {"choices": value if isinstance(value, list) else [value]}
    if keyword == "oneOf":
        return "exactly_one", {"names": [branch["required"][0] for branch in parent["oneOf"]]}
    # A schema names the sentence for its own patterns beside them.
    return parent.get("x-fault", "wrong_format"), {"expected": value}


def _schema_at(name: str, path: Sequence[str | int]) -> Any:
    """What stands at the path in the schema `name`; a `$ref` in it leads on, into another file too."""
    root: Any = schemas.load_schema(name)
    place = root
    for step in path:
        place = place[step]
        if step == "$ref":
            file, _, pointer = place.partition("#/")
            root = place = schemas.load_schema(file.removesuffix(".schema.json")) if file else root
            for part in filter(None, pointer.split("/")):
                place = place[part]
    return place
