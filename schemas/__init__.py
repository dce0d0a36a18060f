"""The contract: JSON Schema 2020-12 files, valid and invalid examples, and their loader."""

from __future__ import annotations

import functools
import json
from importlib import resources
from typing import Any
from zoneinfo import ZoneInfo

import jsonschema_rs
import langcodes
import regex

DRAFT = "https://json-schema.org/draft/2020-12/schema"
# Many invisible characters are letters or marks to Unicode, and the empty Braille cell is a symbol.
_VISIBLE = regex.compile(r"[^\s\p{Cc}\p{Default_Ignorable_Code_Point}\u2800]")


@functools.cache
def load_schema(name: str) -> dict[str, Any]:
    """The schema in `NAME.schema.json`. Callers share it, so nobody may change it."""
    text = resources.files(__name__).joinpath(f"{name}.schema.json").read_text("utf-8")
    return json.loads(text)


@functools.cache
def find_validator(name: str) -> jsonschema_rs.Draft202012Validator:
    """A validator that asserts formats, those of ours too, and follows references to our own files alone."""
    return make_validator(load_schema(name))


def make_validator(schema: dict[str, Any]) -> jsonschema_rs.Draft202012Validator:
    """As `find_validator`, for a schema that is in no file."""
    return jsonschema_rs.Draft202012Validator(
        schema,
        validate_formats=True,
        ignore_unknown_formats=False,
        formats=FORMATS,
        registry=_registry(),
        offline=True,
    )


@functools.cache
def _registry() -> jsonschema_rs.Registry:
    """Every schema under its file's name, by which the others refer to it."""
    files = [file.name for file in resources.files(__name__).iterdir() if file.name.endswith(".schema.json")]
    return jsonschema_rs.Registry([(name, load_schema(name.removesuffix(".schema.json"))) for name in files])


def is_language_tag(text: str) -> bool:
    """Whether this is a well-formed RFC 5646 tag in its canonical case (`zh-Hans`, not `zh_hans`)."""
    try:
        return langcodes.standardize_tag(text, macro=False) == text and langcodes.tag_is_valid(text)
    except ValueError:
        return False


def is_visible(text: str) -> bool:
    """Whether anything of it can be seen: not spaces, control and joining characters alone."""
    return _VISIBLE.search(text) is not None


def is_time_zone(text: str) -> bool:
    """Whether the IANA database has a zone of this name, such as `Asia/Shanghai`."""
    try:
        return bool(ZoneInfo(text).key)
    # Whatever the system makes of a name that is no file, a folder, or leads out of the database.
    except (KeyError, OSError, ValueError):
        return False


FORMATS = {"language-tag": is_language_tag, "visible": is_visible, "time-zone": is_time_zone}
"""Formats that JSON Schema does not know, and what tells whether a text is of them."""
