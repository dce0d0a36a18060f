"""The benchmarks count and divide as they say. How fast anything is, no test asserts."""

from __future__ import annotations

import socket

import pytest

from bench import scale
from bench.__main__ import BENCHMARKS, main
from bench.receiver import count_received, run_receiver
from bench.report import Skipped, Table, run_rounds


def test_a_row_is_the_median_of_its_rounds_and_the_ratio_of_medians() -> None:
    table = Table(title="Feeds", unit="requests/s", against=("rival",))
    for ours, theirs in ((300, 100), (1500, 2000), (400, 800)):
        table.add("ours", ours)
        table.add("rival", theirs)
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.render().splitlines() if "|" in line]
    assert rows[0] == ["", "median, requests/s", "lowest", "highest", "ratio to rival"]
    assert rows[2:] == [["ours", "400", "300", "1,500", "0.50"], ["rival", "800", "100", "2,000", "1.00"]]


def test_contestants_take_turns() -> None:
    turns: list[str] = []
    table = Table(title="", unit="s", against=())
    run_rounds("", 2, {name: lambda name=name: turns.append(name) or 1.0 for name in "ab"}, table)
    assert turns == ["a", "b", "a", "b"]


def test_what_is_skipped_says_why_and_stops_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def skip() -> list[Table]:
        raise Skipped("wrk is not on PATH")

    monkeypatch.setitem(BENCHMARKS, "feeds", skip)
    monkeypatch.setitem(BENCHMARKS, "deliveries", lambda: [Table(title="Deliveries ran", unit="", against=())])
    assert main(["feeds", "deliveries"]) == 0
    said = capsys.readouterr().out
    assert "feeds: skipped. wrk is not on PATH\n" in said
    assert "Deliveries ran" in said


def test_the_largest_newsroom_is_loaded_only_where_scale_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[tuple[int, ...]] = []
    for name in BENCHMARKS:
        monkeypatch.setitem(BENCHMARKS, name, list)

    def run(sizes: tuple[int, ...] = scale.SIZES) -> list[Table]:
        loaded.append(sizes)
        return []

    monkeypatch.setattr(scale, "run", run)
    monkeypatch.setitem(BENCHMARKS, "scale", run)
    assert main([]) == main(["scale"]) == 0
    assert loaded == [(100, 10_000), (100, 10_000, 1_000_000)]


def test_the_receiver_counts_a_push_once_its_body_is_whole() -> None:
    with run_receiver() as port:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as partner:
            for piece in (b"POST /7 HTTP/1.1\r\nHost: p\r\nContent-", b"Length: 4\r\n\r\nab"):
                partner.sendall(piece)
                assert count_received(port) == 0
            partner.sendall(b"cd")
            assert partner.recv(100).startswith(b"HTTP/1.1 204")
        assert count_received(port) == 1


def test_a_partner_in_trouble_is_not_counted_and_gets_no_whole_answer() -> None:
    with run_receiver() as port:
        with push_to(port, "drip") as partner:
            assert partner.recv(100) == b"H"
        with push_to(port, "hang") as partner, pytest.raises(TimeoutError):
            partner.recv(100)
        assert count_received(port) == 0


def push_to(port: int, manner: str) -> socket.socket:
    partner = socket.create_connection(("127.0.0.1", port), timeout=1.5)
    partner.sendall(b"POST /%b/1 HTTP/1.1\r\nHost: p\r\n\r\n" % manner.encode())
    return partner
