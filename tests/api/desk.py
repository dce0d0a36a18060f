"""Staff at the API: every answer is held against the contract that the service gives out itself."""

from __future__ import annotations

import functools
import json
import re
from typing import Any

import jsonschema_rs
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

import schemas
from service.api.openapi import build_openapi

Document = dict[str, Any]


@functools.cache
def contract() -> Document:
    return build_openapi("http://127.0.0.1:8080")


@functools.cache
def _validator(path: str, method: str, status: str, media_type: str) -> Any:
    response = contract()["paths"][path][method]["responses"][status]
    if "$ref" in response:
        response = contract()["components"]["responses"][response["$ref"].rsplit("/", 1)[1]]
    schema = response["content"][media_type]["schema"]
    # The components stand beside the schema, where its references look for them.
    return jsonschema_rs.Draft202012Validator(
        {"allOf": [schema], "components": contract()["components"]}, validate_formats=True,
        formats={"language-tag": schemas.is_language_tag}, ignore_unknown_formats=False, offline=True,
    )


def check_contract(answer: TestResponse, method: str, path: str) -> None:
    """Raises where the description names no such answer, or another shape of it."""
    path = path.partition("?")[0]
    # The fewest variables first, as the router has it.
    shapes = sorted(contract()["paths"], key=lambda shape: shape.count("{"))
    shape = next(shape for shape in shapes if re.fullmatch(re.sub(r"\{[^}]+\}", "[^/]+", shape), path))
    validator = _validator(shape, method.lower(), str(answer.status_code), answer.mimetype)
    document = answer.json if "json" in answer.mimetype else answer.text
    assert [(error.instance_path, error.message) for error in validator.iter_errors(document)] == []


class Desk:
    """One caller. ``language`` is what problems are told in."""

    def __init__(self, client: FlaskClient, headers: dict[str, str], document: Document) -> None:
        self.client, self.headers, self.document = client, headers, document

    def ask(self, method: str, path: str, document: Any = None, **headers: str) -> TestResponse:
        """`if_match="…"` stands for the header If-Match."""
        sent = self.headers | {name.replace("_", "-").title(): value for name, value in headers.items()}
        body = {} if document is None else {"data": json.dumps(document), "content_type": "application/json"}
        answer = self.client.open(path, method=method, headers=sent, **body)
        if path.startswith("/v1/"):
            check_contract(answer, method, path)
        return answer

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
