"""Characters that set the direction of text (UAX #9, section 2), kept from turning what stands beside theirs."""

from __future__ import annotations

import regex

_OVERRIDES = frozenset("\u202d\u202e")
_ISOLATES = frozenset("\u2066\u2067\u2068")
_END, _ISOLATE_END = "\u202c", "\u2069"
_CONTROL = regex.compile(r"[\u202a-\u202e\u2066-\u2069]")


def settle_direction(line: str) -> tuple[str, list[str]]:
    """The line without overrides, and without what begins and never ends; and what was taken out, as `U+202E` names.

    An override shows letters in another order than they are read in. Pairs of the others stay, as do marks: they
    keep Hebrew or Arabic names in order, and reach no further than their end.
    """
    unwanted = _find_unwanted([(match.start(), match[0]) for match in _CONTROL.finditer(line)])
    kept = "".join(character for place, character in enumerate(line) if place not in unwanted) if unwanted else line
    return kept, sorted({f"U+{ord(line[place]):04X}" for place in unwanted})


def _find_unwanted(controls: list[tuple[int, str]]) -> set[int]:
    """The places of those that are overrides or have no partner."""
    unwanted = {place for place, _ in controls}
    opened: list[tuple[int, str]] = []
    for place, control in controls:
        if control == _ISOLATE_END:
            # It also ends what was embedded in the isolate.
            while any(character in _ISOLATES for _, character in opened):
                start, opener = opened.pop()
                if opener in _ISOLATES:
                    unwanted -= {start, place}
                    break
        elif control != _END:
            opened.append((place, control))
        elif opened and opened[-1][1] not in _ISOLATES:
            start, opener = opened.pop()
            if opener not in _OVERRIDES:
                unwanted -= {start, place}
    return unwanted
