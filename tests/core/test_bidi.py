"""No text turns round what stands beside it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.bidi import settle_direction

LRE, RLE, PDF, LRO, RLO = "\u202a", "\u202b", "\u202c", "\u202d", "\u202e"
LRI, RLI, FSI, PDI = "\u2066", "\u2067", "\u2068", "\u2069"
PARTNERS = {LRE: PDF, RLE: PDF, LRI: PDI, RLI: PDI, FSI: PDI}
LINES = st.text(alphabet=f"签署合作 aא\u200f{LRE}{RLE}{PDF}{LRO}{RLO}{LRI}{RLI}{FSI}{PDI}", max_size=20)


@pytest.mark.parametrize(("line", "kept", "removed"), [
    (f"签署{RLO}合作", "签署合作", ["U+202E"]),
    (f"{LRO}a{PDF}{RLO}b{PDF}", "ab", ["U+202C", "U+202D", "U+202E"]),
    (f"{RLE}שלום{PDF}, {RLI}שלום{PDI}", f"{RLE}שלום{PDF}, {RLI}שלום{PDI}", []),
    (f"{RLE}a", "a", ["U+202B"]),
    (f"a{PDF}b{PDI}", "ab", ["U+202C", "U+2069"]),
    # An isolate ends what was embedded in it, and no embedding ends an isolate (UAX #9, rules X6a and X7).
    (f"{FSI}{RLE}a{PDI}b", f"{FSI}a{PDI}b", ["U+202B"]),
    (f"{RLE}{LRI}a{PDF}b{PDI}{PDF}", f"{RLE}{LRI}ab{PDI}{PDF}", ["U+202C"]),
    (f"{RLE}a{PDI}b{PDF}", f"{RLE}ab{PDF}", ["U+2069"]),
    ("\u200fשלום!\u200f 签署", "\u200fשלום!\u200f 签署", []),
])
def test_overrides_and_what_never_ends_are_taken_out(line: str, kept: str, removed: list[str]) -> None:
    assert settle_direction(line) == (kept, removed)


@given(LINES)
def test_what_is_left_is_balanced_and_all_else_is_kept(line: str) -> None:
    kept, removed = settle_direction(line)
    expected: list[str] = []
    for character in kept:
        if character in PARTNERS:
            expected.append(PARTNERS[character])
        elif character in (PDF, PDI):
            assert expected.pop() == character
        assert character not in (LRO, RLO)
    assert not expected
    assert [c for c in kept if not "\u202a" <= c <= "\u2069"] == [c for c in line if not "\u202a" <= c <= "\u2069"]
    assert (kept == line) == (not removed)
    assert settle_direction(kept) == (kept, [])
