"""The web server: `python -m service.server`, or with another application `python -m service.server module:name`."""

from __future__ import annotations

import argparse

import uvicorn

from service.connection import PATIENCE_SECONDS, Connection

# As many connections may wait while a process is busy.
BACKLOG = 1024
STOP_SECONDS = 10


def main() -> None:
    """Serve until SIGTERM; SIGHUP replaces one process after another, and no request is lost."""
    parser = argparse.ArgumentParser(prog="service.server")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("app", nargs="?", default="service.asgi:app")
    chosen = parser.parse_args()
    uvicorn.run(
        chosen.app, host=chosen.host, port=chosen.port, workers=chosen.workers, http=Connection, loop="uvloop",
        interface="asgi3", lifespan="off", ws="none", backlog=BACKLOG, timeout_keep_alive=2 * PATIENCE_SECONDS,
        timeout_graceful_shutdown=STOP_SECONDS, proxy_headers=False, server_header=False,
        access_log=False, log_config=None, log_level="error",
    )


if __name__ == "__main__":
    main()
