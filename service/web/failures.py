"""What went wrong, to people: a page in place of the problem that programs get."""

from __future__ import annotations

from flask import Response

from service.edge import services
from service.messages import say, ui_language
from service.web import pages, routes

PROBLEM = "application/problem+json"


def show_to_people(response: Response) -> Response:
    """The same answer, with a page for its body where a browser asks for one; what waits says when to come again."""
    if response.mimetype != PROBLEM or not routes.is_for_people():
        return response
    language = routes.page_language()
    words, code = ui_language(language.tag), response.get_json()["code"]
    title, text = (
        ("page.unavailable.title", "page.unavailable.text") if response.status_code == 503
        else (f"problem.{code}.title", f"problem.{code}.about")
    )
    response.set_data(pages.render_problem(services().profile, language, say(words, title), say(words, text)))
    response.mimetype = "text/html"
    response.headers["Content-Language"] = language.tag
    response.vary.update(("Accept", "Accept-Language"))
    return response
