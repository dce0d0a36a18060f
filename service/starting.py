"""What a process says that can't begin: one line, where a server's own way would be a traceback."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from service.errors import ConfigurationError


@contextmanager
def refuse_plainly() -> Iterator[None]:
    """Ends the process with the sentence of a ConfigurationError, and the server that would start it again."""
    try:
        yield
    except ConfigurationError as error:
        if (server := multiprocessing.parent_process()) and server.pid:
            os.kill(server.pid, signal.SIGTERM)
        sys.exit(f"diglot: {error.params['reason']}")
