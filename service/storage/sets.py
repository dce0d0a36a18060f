"""`IN` of few lengths, so that drivers and databases know each statement again and need not prepare it anew."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import sqlalchemy as sa


def among(column: sa.ColumnElement[Any], values: Collection[Any]) -> sa.ColumnElement[bool]:
    """Whether it is one of these, of which the last stands so often that their number is a power of two."""
    listed = list(values)
    return column.in_(listed + listed[-1:] * ((1 << (len(listed) - 1).bit_length()) - len(listed)))
