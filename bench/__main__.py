"""`python -m bench [publishing] [feeds] [deliveries]`: all of them, or the named ones, in turn."""

from __future__ import annotations

import sys

from bench import deliveries, feeds, publishing
from bench.report import Skipped, describe_machine, progress

BENCHMARKS = {"publishing": publishing.run, "feeds": feeds.run, "deliveries": deliveries.run}


def main(names: list[str]) -> int:
    if unknown := [name for name in names if name not in BENCHMARKS]:
        progress(f"no such benchmark: {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
        return 2
    print(describe_machine(), flush=True)
    for name in names or BENCHMARKS:
        try:
            for table in BENCHMARKS[name]():
                print(f"\n{table.render()}", flush=True)
        except Skipped as reason:
            print(f"\n{name}: skipped. {reason}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
