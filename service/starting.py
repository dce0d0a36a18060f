"""What a process says that can't begin: one line, where a server's own way would be a traceback."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from service.errors import ConfigurationError

# By this status uvicorn knows that another try would end the same way.
STARTUP_FAILURE = 3


@contextmanager
def refuse_plainly() -> Iterator[None]:
    """Ends the process with the sentence of a ConfigurationError, or with what the system refused."""
    try:
        yield
    except (ConfigurationError, OSError) as error:
        reason = error.params["reason"] if isinstance(error, ConfigurationError) else error
        print(f"diglot: {reason}", file=sys.stderr)  # noqa: T201 there is no log yet
        sys.exit(STARTUP_FAILURE)
