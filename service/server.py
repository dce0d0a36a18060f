"""The web server: `python -m service.server`, or with another application `python -m service.server module:name`."""

from __future__ import annotations

import argparse
import logging
import sys

import uvicorn
from uvicorn.supervisors import Multiprocess

from service.connection import PATIENCE_SECONDS, Connection
from service.starting import STARTUP_FAILURE

# As many connections may wait while a process is busy.
BACKLOG = 1024
STOP_SECONDS = 10
# A process that says nothing for so long is killed and another takes its place. On a busy machine to begin takes long;
# but one that dies while it is asked is missed only then.
SILENT_SECONDS = 10


def main() -> None:
    """Serve until SIGTERM; SIGHUP replaces one process after another."""
    parser = argparse.ArgumentParser(prog="service.server")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("app", nargs="?", default="service.asgi:app")
    chosen = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    config = uvicorn.Config(
        chosen.app, host=chosen.host, port=chosen.port, workers=chosen.workers, http=Connection, loop="uvloop",
        interface="asgi3", lifespan="off", ws="none", backlog=BACKLOG, timeout_keep_alive=2 * PATIENCE_SECONDS,
        timeout_graceful_shutdown=STOP_SECONDS, timeout_worker_healthcheck=SILENT_SECONDS, proxy_headers=False,
        server_header=False, access_log=False, log_config=None, log_level="error",
    )
    supervisor = Multiprocess(config, [config.bind_socket()])
    # Of processes that died and were replaced it tells as of anything else.
    logging.getLogger("uvicorn.error").setLevel(logging.INFO)
    supervisor.run()
    if any(process.exitcode == STARTUP_FAILURE for process in supervisor.processes):
        sys.exit(STARTUP_FAILURE)


if __name__ == "__main__":
    main()
