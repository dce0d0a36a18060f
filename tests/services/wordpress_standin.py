"""A stand-in for WordPress where none can be had, after its REST handbook, and for what a real one says rarely."""

from __future__ import annotations

import itertools
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException
from werkzeug.serving import make_server

from tests.services.wordpress import WordPress

_RENDERED = ("title", "content", "excerpt", "caption")
_NO_UPLOAD = ("image/avif",)
_CAPABILITIES = {"editor": "publish upload", "author": "publish upload", "contributor": ""}


class Refusal(HTTPException):
    def __init__(self, status: int, code: str) -> None:
        super().__init__(response=Response(f'{{"code":"{code}","data":{{"status":{status}}}}}', status,
                                           mimetype="application/json"))


class StandIn(WordPress):
    """``answer`` may answer a request (method, route) in WordPress's place; None leaves it alone."""

    answer: Callable[[str, str], Response | None] = staticmethod(lambda _method, _route: None)


class _Site:
    def __init__(self, address: str) -> None:
        self.items: dict[int, dict[str, Any]] = {}
        self.address, self.polylang, self._ids = address, False, itertools.count(10)

    def user(self) -> str:
        """An unknown user or a wrong password is 401; nobody may ask for more than what is public."""
        login = request.authorization
        if login is None or login.password != f"password of {login.username}":
            raise Refusal(401, "incorrect_password")
        return str(login.username)

    def find(self, kind: str) -> list[dict[str, Any]]:
        asked = request.args
        states = asked.get("status", "inherit" if kind == "media" else "publish").split(",")
        found = [item for item in self.items.values() if item["kind"] == kind and item["status"] in states]
        tests: dict[str, Callable[[dict[str, Any], str], bool]] = {
            "slug": lambda item, value: item["slug"] == value,
            "search": lambda item, value: value.lower() in item.get("content", "").lower(),
            "include": lambda item, value: item["id"] == int(value),
        }
        return [item for item in found if all(test(item, asked[name]) for name, test in tests.items() if name in asked)]

    def create(self, kind: str, fields: dict[str, Any]) -> dict[str, Any]:
        if "publish" not in _CAPABILITIES[self.user()] and fields.get("status") == "publish":
            raise Refusal(403, "rest_cannot_publish")
        id = next(self._ids)
        status = "inherit" if kind == "media" else "draft"
        common = {"slug": str(id), "status": status, "featured_media": 0, "categories": [1]}
        self.items[id] = {"id": id, "kind": kind, **common}
        return self.change(kind, id, fields)

    def change(self, kind: str, id: int, fields: dict[str, Any]) -> dict[str, Any]:
        item = self.items.get(id)
        if item is None or item["kind"] != kind:
            raise Refusal(404, "rest_post_invalid_id")
        if fields.get("status") == "publish" and "publish" not in _CAPABILITIES[self.user()]:
            raise Refusal(403, "rest_cannot_publish")
        if self.polylang:
            for slug, other in fields.get("translations", {}).items():
                if self.items[other].get("lang") != slug and other != id:
                    raise Refusal(400, "rest_invalid_param")
                self.items[other]["translations"] = fields["translations"]
        if fields.get("slug"):
            fields["slug"] = self._free_slug(fields["slug"], id)
        item.update(fields)
        return item

    def trash(self, id: int) -> dict[str, Any]:
        item = self.items.get(id)
        if item is None:
            raise Refusal(404, "rest_post_invalid_id")
        if item["status"] == "trash":
            raise Refusal(410, "rest_already_trashed")
        item.update(status="trash", slug=f"{item['slug']}__trashed")
        return item

    def upload(self) -> dict[str, Any]:
        file = request.files["file"]
        if "upload" not in _CAPABILITIES[self.user()]:
            raise Refusal(403, "rest_cannot_create")
        if file.mimetype in _NO_UPLOAD:
            raise Refusal(500, "rest_upload_unknown_error")
        file.read()
        item = self.create("media", {**request.form, "post": int(request.form["post"])})
        item["source_url"] = f"{self.address}/uploads/{file.filename}"
        return item

    def show(self, item: dict[str, Any]) -> dict[str, Any]:
        """Every text has its raw form; `_fields` names what is wanted (REST API handbook, global parameters)."""
        texts = {name: {"raw": item.get(name, "")} for name in _RENDERED}
        shown = {"alt_text": "", **item, **texts, "link": f"{self.address}/?p={item['id']}"}
        wanted = request.args.get("_fields")
        return {name: value for name, value in shown.items() if not wanted or name in wanted.split(",")}

    def page(self, id: int) -> str:
        item = self.items[id]
        picture = self.items.get(item["featured_media"])
        image = f'<img src="{picture["source_url"]}">' if picture else ""
        blockless = re.sub(r"<!-- /?wp:html -->", "", item["content"])
        # Shortcodes run where the brackets are no entities.
        return item["title"] + image + re.sub(r"\[(caption|gallery).*?\]", "CODE", blockless)

    def _free_slug(self, slug: str, id: int) -> str:
        taken = {item["slug"] for item in self.items.values() if item["id"] != id}
        names = itertools.chain([slug], (f"{slug}-{number}" for number in itertools.count(2)))
        return next(name for name in names if name not in taken)


@contextmanager
def start_standin() -> Iterator[StandIn]:
    app = Flask("site")
    server = make_server("127.0.0.1", 0, app, threaded=True)
    url = f"http://127.0.0.1:{server.server_port}"
    site = _Site(url)
    passwords = {name: f"password of {name}" for name in _CAPABILITIES}
    standin = StandIn(url, passwords, {"News": 2, "Visits": 3}, None)  # type: ignore[arg-type]
    _lay_routes(app, site, standin)

    @contextmanager
    def polylang() -> Iterator[None]:
        site.polylang = True
        yield
        site.polylang = False

    standin.polylang = polylang  # type: ignore[method-assign]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield standin
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _lay_routes(app: Flask, site: _Site, standin: StandIn) -> None:
    app.before_request(lambda: standin.answer(request.method, request.path))
    app.get("/")(lambda: site.page(int(request.args["p"])))

    @app.get("/wp-json/pll/v1/languages")
    def languages() -> Any:
        if not site.polylang:
            raise Refusal(404, "rest_no_route")
        return [{"slug": "en", "locale": "en_US"}, {"slug": "zh", "locale": "zh_CN"}]

    @app.get("/wp-json/wp/v2/users/me")
    def me() -> Any:
        return {"id": 1, "name": site.user()}

    @app.get("/wp-json/wp/v2/<kind>")
    def index(kind: str) -> Any:
        if request.args.get("status", "publish") != "publish":
            site.user()
        return [site.show(item) for item in reversed(site.find(kind))]

    @app.post("/wp-json/wp/v2/<kind>")
    def create(kind: str) -> Any:
        site.user()
        return site.show(site.upload() if kind == "media" else site.create(kind, dict(request.json))), 201

    @app.get("/wp-json/wp/v2/<kind>/<int:id>")
    def read(kind: str, id: int) -> Any:
        return site.show(site.change(kind, id, {}))

    @app.post("/wp-json/wp/v2/<kind>/<int:id>")
    def change(kind: str, id: int) -> Any:
        site.user()
        return site.show(site.change(kind, id, dict(request.json)))

    @app.delete("/wp-json/wp/v2/posts/<int:id>")
    def trash(id: int) -> Any:
        site.user()
        return site.show(site.trash(id))
