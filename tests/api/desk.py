"""Staff at the API, in a few words."""

from __future__ import annotations

import json
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

Document = dict[str, Any]


class Desk:
    """One caller. ``language`` is what problems are told in."""

    def __init__(self, client: FlaskClient, headers: dict[str, str], document: Document) -> None:
        self.client, self.headers, self.document = client, headers, document

    def ask(self, method: str, path: str, document: Any = None, **headers: str) -> TestResponse:
        """`if_match="…"` stands for the header If-Match."""
        sent = self.headers | {name.replace("_", "-").title(): value for name, value in headers.items()}
        body = {} if document is None else {"data": json.dumps(document), "content_type": "application/json"}
        return self.client.open(path, method=method, headers=sent, **body)

    def get(self, path: str, **headers: str) -> TestResponse:
        return self.ask("GET", path, **headers)

    def post(self, **more: Any) -> Document:
        """A new release, as it is shown then."""
        answer = self.ask("POST", "/v1/releases", self.document | more)
        assert answer.status_code == 201, answer.text
        found: Document = answer.json
        return found

    def move(self, release: Document, name: str, document: Any = None, **headers: str) -> TestResponse:
        return self.ask("POST", f"/v1/releases/{release['id']}/{name}", document, **headers)

    def put(self, release: Document, document: Any, if_match: str | None = "*", **headers: str) -> TestResponse:
        match = {"if_match": if_match} if if_match else {}
        return self.ask("PUT", f"/v1/releases/{release['id']}", document, **match, **headers)

    def reworded(self, *tags: str, **more: Any) -> Document:
        """The document with these editions said in other words."""
        document: Document = json.loads(json.dumps(self.document)) | more
        for tag in tags:
            document["editions"][tag]["headline"] += " 2"
        return document
