"""`python -m bench [NAME]…`: all benchmarks in turn, or the named ones.

All of them leave out the largest newsroom of `scale`, which takes some minutes to load.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from functools import partial

from bench import deliveries, feeds, isolation, planning, publishing, scale
from bench.report import Skipped, Table, describe_machine, progress

BENCHMARKS: dict[str, Callable[[], Iterable[Table]]] = {
    "publishing": publishing.run, "feeds": feeds.run, "deliveries": deliveries.run, "isolation": isolation.run,
    "planning": planning.run, "scale": scale.run,
}


def main(names: list[str]) -> int:
    if unknown := [name for name in names if name not in BENCHMARKS]:
        progress(f"no such benchmark: {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
        return 2
    print(describe_machine(), flush=True)
    chosen = {name: BENCHMARKS[name] for name in names} or BENCHMARKS | {"scale": partial(scale.run, scale.SIZES[:-1])}
    for name, run in chosen.items():
        try:
            for table in run():
                print(f"\n{table.render()}", flush=True)
        except Skipped as reason:
            print(f"\n{name}: skipped. {reason}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
