"""Which answer the fields of a request select: the table of RFC 9110 section 13.2.2, and what a memory keeps."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from service.memory import Memory
from service.model import Document
from service.representations import Representations

MODIFIED = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
EARLIER, THEN, LATER = (
    b"Tue, 24 Nov 2026 07:59:59 GMT", b"Tue, 24 Nov 2026 08:00:00 GMT", b"Tue, 24 Nov 2026 08:00:01 GMT",
)


def make_document(path: str = "/feeds/zh.atom", body: bytes = b"plain") -> Document:
    return Document(
        path=path, media_type="application/atom+xml", body=body, gzip_body=b"packed",
        etag="tag", gzip_etag="tag-gz", last_modified=MODIFIED,
    )


@pytest.mark.parametrize(("fields", "status"), [
    ({}, 200),
    ({"if-none-match": b'"tag"'}, 304),
    ({"if-none-match": b'W/"tag"'}, 304),
    ({"if-none-match": b'"a", W/"tag"'}, 304),
    ({"if-none-match": b"*"}, 304),
    ({"if-none-match": b'"tag-gz"'}, 200),
    ({"if-none-match": b'"a,tag"'}, 200),
    ({"if-none-match": b'"tag', "if-modified-since": EARLIER}, 200),
    ({"if-none-match": b'"a"', "if-modified-since": THEN}, 200),
    ({"if-none-match": b'"tag"', "if-modified-since": EARLIER}, 304),
    ({"if-modified-since": EARLIER}, 200),
    ({"if-modified-since": THEN}, 304),
    ({"if-modified-since": LATER}, 304),
    ({"if-modified-since": b"yesterday"}, 200),
    ({"if-match": b'"tag"'}, 200),
    ({"if-match": b"*"}, 200),
    ({"if-match": b'W/"tag"'}, 412),
    ({"if-match": b'"a"'}, 412),
    ({"if-match": b'"a"', "if-none-match": b'"tag"'}, 412),
    ({"if-match": b'"tag"', "if-none-match": b'"tag"'}, 304),
    ({"if-match": b'"tag"', "if-unmodified-since": EARLIER}, 200),
    ({"if-unmodified-since": EARLIER}, 412),
    ({"if-unmodified-since": THEN}, 200),
])
def test_preconditions_are_weighed_in_their_order(fields: dict[str, bytes], status: int) -> None:
    answer = Representations(make_document()).answer({name.encode(): value for name, value in fields.items()})
    assert answer.status == status
    assert answer.body == (b"plain" if status == 200 else b"")
    assert (b"etag", b'"tag"') in answer.headers


@pytest.mark.parametrize(("accepted", "is_packed"), [
    (b"gzip", True), (b"gzip, deflate, br", True), (b"*", True), (b"gzip;q=0.1", True), (b"br, GZIP", True),
    (b"", False), (b"identity", False), (b"gzip;q=0", False), (b"br", False), (b"*;q=0", False),
    (b"gzip;q=0, *", False), (b"x" * 200 + b", gzip", True), (b"\xff", False),
])
def test_it_is_packed_for_who_takes_that(accepted: bytes, is_packed: bool) -> None:
    answer = Representations(make_document()).answer({b"accept-encoding": accepted})
    headers = dict(answer.headers)
    assert answer.body == (b"packed" if is_packed else b"plain")
    assert headers[b"content-length"] == b"%d" % len(answer.body)
    assert (headers[b"etag"], headers.get(b"content-encoding")) == (
        (b'"tag-gz"', b"gzip") if is_packed else (b'"tag"', None)
    )


def test_a_memory_keeps_what_was_kept_last_up_to_its_bytes() -> None:
    memory = Memory(most_bytes=350)
    for name in "abc":
        memory.keep(1, make_document(name, b"x" * 100))
    memory.keep(2, make_document("a", b"x" * 100))
    memory.keep(2, make_document("d", b"x" * 100))
    assert [name for name in "abcd" if memory.find(name)] == ["a", "c", "d"]


def test_what_is_kept_again_counts_once() -> None:
    memory = Memory(most_bytes=350)
    for generation in range(1, 10):
        memory.keep(generation, make_document("a", b"x" * 100))
        memory.keep(generation, make_document("b", b"x" * 100))
    assert memory.find("a")
    assert memory.find("b")


def test_what_is_too_large_is_answered_and_not_kept() -> None:
    memory = Memory(most_bytes=50)
    kept = memory.keep(1, make_document("a", b"x" * 100))
    assert kept.representations.answer({}).status == 200
    assert memory.find("a") is None


def test_what_was_read_late_takes_no_newer_ones_place() -> None:
    """A thread may read before a swap and keep after it what another has read and kept meanwhile."""
    memory = Memory()
    memory.keep(2, make_document(body=b"new"))
    late = memory.keep(1, make_document(body=b"old"))
    kept = memory.find("/feeds/zh.atom")
    assert kept
    assert kept.generation == 2
    assert late.representations.answer({}).body == b"old"
