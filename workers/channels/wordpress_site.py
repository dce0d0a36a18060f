"""A WordPress site's REST interface, as far as posts and pictures need it (`wp/v2`, WordPress 5.6 or newer)."""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlencode

from service.config import VERSION
from service.model import Claim
from workers.outbound import File, Request, Response

_Of = TypeVar("_Of")
Steps = Generator[Request, Response, _Of]


class Refused(Exception):
    """The site didn't do what it was asked; ``response`` says why."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status or response.error)
        self.response = response


@dataclass(frozen=True, slots=True)
class Post:
    """A post or a picture of the site. ``document`` holds what else was asked for."""

    id: int
    status: str
    document: Mapping[str, Any]


class Site:
    """Every step asks once, keeps the ``answer`` and raises Refused where it isn't the one that was hoped for.

    The user is proved by an application password (RFC 7617), so plain HTTP is confined to the operator's networks.
    """

    def __init__(self, claim: Claim) -> None:
        self._api = claim.callback.rstrip("/")
        credentials = f"{claim.settings['username']}:{claim.secret.reveal()}".encode()
        self._headers = {
            "authorization": "Basic " + base64.b64encode(credentials).decode(),
            "accept": "application/json",
            "user-agent": f"Diglot/{VERSION}",
        }
        self._confined = not self._api.lower().startswith("https:")
        self.answer = Response(status=None, error=None, duration_ms=0)

    def get(self, route: str, **query: str) -> Steps[Any]:
        return (yield from self._ask(Request(self._url(route, query), b"", self._headers, "GET")))

    def send(self, route: str, fields: Mapping[str, Any], method: str = "POST") -> Steps[Post]:
        headers = self._headers | {"content-type": "application/json"}
        body = json.dumps(fields, ensure_ascii=False).encode()
        url = self._url(route, {"_fields": "id,status,source_url"})
        return self._post((yield from self._ask(Request(url, body, headers, method))))

    def upload(self, file: File, fields: Mapping[str, str]) -> Steps[Post]:
        url = self._url("wp/v2/media", {"_fields": "id,status,source_url"})
        form: dict[str, str | File] = {**fields, "file": file}
        return self._post((yield from self._ask(Request(url, b"", self._headers, form=form))))

    def find(self, kind: str, **query: str) -> Steps[list[Post]]:
        """The posts or media that the query finds, in the order of the site."""
        found = yield from self.get(f"wp/v2/{kind}", **query)
        if not isinstance(found, list):
            raise Refused(_not_wordpress(self.answer))
        return [self._post(item) for item in found]

    def _ask(self, request: Request) -> Steps[Any]:
        self.answer = yield dataclasses.replace(request, confined=self._confined)
        if self.answer.status is None or not 200 <= self.answer.status < 300:
            raise Refused(self.answer)
        try:
            return json.loads(self.answer.body)
        except (ValueError, RecursionError):
            raise Refused(_not_wordpress(self.answer)) from None

    def _post(self, document: Any) -> Post:
        if not isinstance(document, dict) or not isinstance(document.get("id"), int):
            raise Refused(_not_wordpress(self.answer))
        return Post(document["id"], str(document.get("status", "")), document)

    def _url(self, route: str, query: Mapping[str, str]) -> str:
        return f"{self._api}/{route}?{urlencode(query)}"


def _not_wordpress(answer: Response) -> Response:
    """Some proxies and plugins say 200 to everything."""
    return dataclasses.replace(answer, status=None, error="not_wordpress")
