"""A channel driven to its end, through the real way out."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from service.clock import new_id
from service.config import Profile
from service.model import Channel, Claim, Event, EventType, Release, ReleaseMedium, Secret, Withdrawal
from service.networks import AllowedNetworks
from service.payloads import release_body
from service.release_media import PATH
from service.retries import CLAIM
from service.validation import validate_release
from tests.conftest import ROOT, StoppedClock
from tests.factories import published
from tests.media import jpeg
from workers import context
from workers.channels import CHANNELS
from workers.outbound import Outbound, Request, Response

TAGS = ("zh-Hans", "en")
Serve = Callable[..., Response]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where uploaded files lie, for the workers too."""
    monkeypatch.setenv("DIGLOT_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("DIGLOT_PROFILE", str(ROOT / "newsroom.json"))
    context.settings.cache_clear()
    media = context.settings().media_dir
    media.mkdir()
    yield media
    context.settings.cache_clear()


@pytest.fixture
def release(release_document: dict[str, Any], profile: Profile, folder: Path) -> Release:
    """The shipped release, a slug of its own, with an uploaded picture and one from elsewhere."""
    medium_id = new_id()
    name = f"{medium_id.hex}.jpg"
    (folder / name).write_bytes(jpeg())
    texts = {"alt": {"en": "A crane & a ship", "zh-Hans": "吊机与船"}, "credit": {"en": "Photo: Li", "zh-Hans": "李摄"}}
    media = (
        ReleaseMedium(url=PATH + name, type="image/jpeg", media_id=medium_id, **texts),
        ReleaseMedium(url="https://cdn.example/far.png", type="image/png", alt={"en": "Far <away>"}),
        ReleaseMedium(url="https://cdn.example/report.pdf", type="application/pdf", title={"en": "The report"}),
    )
    made = published(validate_release(release_document, profile))
    return dataclasses.replace(made, slug=f"opening-{new_id().hex[-8:]}", media=media)


@pytest.fixture
def claim_of(profile: Profile, clock: StoppedClock) -> Callable[..., Claim]:
    """A claim on a delivery of the release to a subscription of these traits."""

    def make(release: Release, type: EventType, **traits: Any) -> Claim:
        event = Event(id=new_id(), type=type, created_at=clock(), release_id=release.id, revision=release.revision)
        if type is EventType.RELEASE_WITHDRAWN:
            release = dataclasses.replace(release, withdrawn_at=clock(), withdrawal=Withdrawal(reason={"en": "Error."}))
        common: Mapping[str, Any] = {
            "delivery_id": new_id(), "subscription_id": uuid.uuid4(), "owner": "me", "attempt": 1,
            "until": clock() + CLAIM,
            "message_id": f"msg_{new_id().hex}", "secret": Secret(""), "first_due_at": clock(),
            "body": release_body(event, release, TAGS, profile),
        }
        return Claim(**{**common, **traits})

    return make


@pytest.fixture
def serve(clock: StoppedClock) -> Iterator[Serve]:
    """Runs a claim's conversation to its end, or until it has had so many answers."""
    running: list[Outbound] = []

    def run(claim: Claim, *, answers: int | None = None, asked: list[Request] | None = None) -> Response | None:
        if not running:
            allowed = AllowedNetworks.parse("127.0.0.0/8")
            running.append(Outbound(allowed, deadline_seconds=30, mail=context.settings().mail))
        [outbound] = running
        conversation = CHANNELS[Channel(claim.channel)](claim, clock())
        step = lambda: next(conversation)  # noqa: E731
        while answers is None or answers > 0:
            try:
                request = step()
            except StopIteration as end:
                return end.value
            if asked is not None:
                asked.append(request)
            outbound.start(request, None)
            [(_, response)] = outbound.wait(60)
            step = lambda: conversation.send(response)  # noqa: E731, B023
            answers = None if answers is None else answers - 1
        return None

    yield run
    for outbound in running:
        outbound.close()
