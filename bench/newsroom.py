"""What staff and readers do at a running service, timed in milliseconds."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any

import requests

from bench import samples
from bench.publishing import POLL_SECONDS, REST_SECONDS, ms_since
from service import keys
from service.clock import utc_now
from service.config import load_profile
from service.feeds import entry_id
from service.model import Release, Role
from service.publishing import publish_due
from service.storage import releases
from tests.faults.processes import Service

PATIENCE_SECONDS = 60
TEXTS = {"zh-Hans": "数字有误", "en": "A figure was wrong"}


class Newsroom:
    """A service with `size` public releases; its web and worker run."""

    def __init__(self, service: Service, size: int) -> None:
        self.service, self.size = service, size
        self._profile = load_profile(service.settings.profile_path)
        self._staff, self._reader = requests.Session(), requests.Session()
        key = keys.make_key(service.storage, "desk", Role.STAFF, utc_now())[1]
        self._staff.headers["Authorization"] = f"Bearer {key}"
        self._numbers = count(size)
        # From all over the archives, each of them once.
        self._positions = iter(random.sample(range(1, size + 1), min(size, 1000)))
        self._etags: dict[str, str] = {}
        self._changed = time.monotonic()

    def publish_ms(self) -> float:
        document = samples.release_document(next(self._numbers))
        return self._visible_ms("json", partial(self._post, "POST", "", document), _headlines(document))

    def correct_ms(self) -> float:
        release = self._next_old()
        document = samples.release_document(next(self._numbers))
        correct = partial(self._post, "PUT", f"/{release.id}", document | {"change_note": TEXTS}, release)
        return self._visible_ms("json", correct, _headlines(document))

    def withdraw_ms(self) -> float:
        """Until each language's feed has the tombstone."""
        release = self._next_old()
        withdraw = partial(self._post, "POST", f"/{release.id}/withdraw", {"reason": TEXTS}, release)
        return self._visible_ms("atom", withdraw, {tag: entry_id(release.id, tag) for tag in release.languages})

    def swap_ms(self) -> float:
        """Publishing without HTTP, broker and worker."""
        samples.accept(self.service.storage, self._profile, next(self._numbers))
        self._rest()
        started = time.perf_counter()
        assert publish_due(self.service.storage, self._profile, utc_now).count == 1
        self._changed = time.monotonic()
        return ms_since(started)

    def get_ms(self, path: str, status: int) -> float:
        """A reader's GET; with status 304, of what the reader has already."""
        headers = {"If-None-Match": self._etags[path]} if status == 304 else {}
        started = time.perf_counter()
        answer = self._reader.get(self.service.base_url + path, headers=headers, timeout=PATIENCE_SECONDS)
        taken = ms_since(started)
        assert answer.status_code == status, (path, answer.status_code)
        self._etags[path] = answer.headers["ETag"]
        return taken

    def _next_old(self) -> Release:
        position = next(self._positions)
        with self.service.storage.read() as tx:
            return releases.list_positions(tx, position, position)[0]

    def _post(self, method: str, path: str, document: Any, before: Release | None = None) -> None:
        url = f"{self.service.base_url}/v1/releases{path}"
        headers = {"If-Match": f'"{before.revision}"'} if before else {}
        answer = self._staff.request(method, url, json=document, headers=headers, timeout=PATIENCE_SECONDS)
        assert answer.ok, answer.text

    def _visible_ms(self, format: str, act: Callable[[], None], signs: dict[str, str]) -> float:
        """From the request to the moment when each language's feed has its sign."""
        self._rest()
        started = time.perf_counter()
        act()
        for tag, sign in signs.items():
            language = self._profile.find_language(tag)
            assert language
            while sign not in self._reader.get(f"{self.service.base_url}/feeds/{language.url_name}.{format}").text:
                if time.perf_counter() - started > PATIENCE_SECONDS:
                    raise RuntimeError(f"{sign} never came\n{self.service.read_logs()}")
                time.sleep(POLL_SECONDS)
        self._changed = time.monotonic()
        return ms_since(started)

    def _rest(self) -> None:
        # Chance keeps the rounds from meeting the clock's seconds always at the same place.
        time.sleep(max(self._changed + REST_SECONDS - time.monotonic(), 0) + random.random() / 2)


def _headlines(document: Any) -> dict[str, str]:
    return {tag: edition["headline"] for tag, edition in document["editions"].items()}
