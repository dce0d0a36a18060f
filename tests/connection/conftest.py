from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.connection.peers import Watch, serving


@pytest.fixture(params=[None, 0.01], ids=["at once", "later"])
def watch(request: pytest.FixtureRequest) -> Watch:
    return Watch(request.param)


@pytest.fixture
def port(watch: Watch) -> Iterator[int]:
    with serving(watch) as port:
        yield port
