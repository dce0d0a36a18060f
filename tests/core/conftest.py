"""The newsroom that the core's tests drive."""

from __future__ import annotations

from typing import Any

import pytest

from service.config import Profile
from service.model import Draft
from service.storage import Storage
from service.validation import validate_release
from tests.conftest import StoppedClock
from tests.core.newsroom import Newsroom


@pytest.fixture
def draft(release_document: dict[str, Any], profile: Profile) -> Draft:
    return validate_release(release_document, profile)


@pytest.fixture
def newsroom(storage: Storage, profile: Profile, clock: StoppedClock, draft: Draft) -> Newsroom:
    room = Newsroom(storage, profile, clock, draft)
    room.swap()
    return room
