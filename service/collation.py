"""Names in the order in which a reader looks for them."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from service import han


def collate(names: Iterable[str], tag: str) -> list[str]:
    """Sorted for readers of the language (BCP 47): Chinese by pinyin, others by letters, whatever their case."""
    by_sound = tag.lower().split("-")[0] == "zh"
    return sorted(names, key=lambda name: (_letters(" ".join(han.to_pinyin(name)) if by_sound else name), name))


def _letters(name: str) -> str:
    """Without case and accents, so that É stands with E and not behind Z."""
    parts = unicodedata.normalize("NFKD", name.casefold())
    return "".join(part for part in parts if not unicodedata.combining(part))
