"""The sentences that people read, in Chinese and in English, by one flat key."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from importlib import resources
from typing import Any, Literal

import langcodes

from service.collation import collate

UiLanguage = Literal["zh", "en"]
LANGUAGES: tuple[UiLanguage, ...] = ("zh", "en")
_SPOKEN: Mapping[str, UiLanguage] = {"zh-Hans": "zh", "zh-Hant": "zh", "en": "en"}
_LIST_SEPARATORS: Mapping[UiLanguage, str] = {"zh": "、", "en": ", "}

_NAMED: Mapping[UiLanguage, str] = {"zh": "{name}（{code}）", "en": "{name} ({code})"}


def say(language: UiLanguage, key: str, /, **params: Any) -> str:
    """The sentence with its parameters filled in. Raises KeyError for an unknown key or a missing parameter.

    A list is joined as the language joins lists; so is a mapping of codes to their names by language tag,
    in the order of the names in this language. A value with a sentence of its own under
    `term.PARAMETER.VALUE` is replaced by it, so that `kind="release"` reads as a word of the language.
    """
    words = {name: _word(language, name, value) for name, value in params.items()}
    return load_catalogue(language)[key].format_map(words)


def ui_language(tag: str) -> UiLanguage:
    """The language of the catalogue for a BCP 47 tag: Chinese for every Chinese, `yue` among them, else English."""
    return find_language(tag) or "en"


@functools.lru_cache(256)
def find_language(tag: str) -> UiLanguage | None:
    """The language of the catalogue that who wants the tag can read, as CLDR has it; None for no such, or no tag."""
    try:
        closest, _ = langcodes.closest_match(tag, list(_SPOKEN))
    except ValueError:
        return None
    return _SPOKEN.get(closest)


def has_message(key: str) -> bool:
    return key in load_catalogue("en")


@functools.cache
def load_catalogue(language: UiLanguage) -> Mapping[str, str]:
    """Key to sentence. Callers share it, so nobody may change it."""
    return json.loads(resources.files(__name__).joinpath(f"{language}.json").read_text("utf-8"))


def _word(language: UiLanguage, name: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return _word(language, name, _named(language, value))
    if isinstance(value, list | tuple):
        words = (str(_word(language, name, item)) for item in value)
        return _LIST_SEPARATORS[language].join(words) or load_catalogue(language)["term.none"]
    return load_catalogue(language).get(f"term.{name}.{value}", value)


def _named(language: UiLanguage, texts: Mapping[str, Mapping[str, str]]) -> list[str]:
    """`访问交流（visits）` or `Visits (visits)`: the name that people know, and the code that a program writes."""
    names = {
        code: next((name for tag, name in by_tag.items() if ui_language(tag) == language), code)
        for code, by_tag in texts.items()
    }
    return collate((_NAMED[language].format(name=names[code], code=code) for code in texts), language)
