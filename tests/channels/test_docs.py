"""The channel that the documentation shows works as it stands there."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from service.model import Channel, Claim, EventType, Release
from tests.channels.conftest import Serve
from tests.conftest import ROOT
from tests.test_outbound import OK, answer, run_partner
from workers.channels import CHANNELS
from workers.outbound import Request


def test_the_example_of_a_channel_serves_every_event(
    release: Release, claim_of: Callable[..., Claim], serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    [source] = re.findall(r"```python\n(.*?)```", (ROOT / "docs/channels.md").read_text("utf-8"), re.DOTALL)
    parts: dict[str, Any] = {}
    exec(compile(source, "docs/channels.md", "exec"), parts)
    monkeypatch.setitem(CHANNELS, Channel.WEBHOOK, parts["chat"])
    asked: list[Request] = []
    with run_partner(answer(OK)) as (url, _):
        for type in (EventType.RELEASE_PUBLISHED, EventType.RELEASE_CORRECTED, EventType.RELEASE_WITHDRAWN):
            claim = claim_of(release, type, channel=Channel.WEBHOOK, callback=url)
            assert serve(claim, asked=asked).status == 200
    texts = [json.loads(request.body)["text"] for request in asked]
    assert release.editions[0].headline in texts[0] and release.editions[0].headline not in texts[2]
    assert all(release.slug in text for text in texts)
