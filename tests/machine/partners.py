"""What couriers took to the partners, compared with the model."""

from __future__ import annotations

import json

from service.model import Claim
from tests.machine.model import Model
from tests.machine.newsroom import ORDERS, Newsroom


class Partners:
    """``sent`` holds partner and slug to the (revision, withdrawn, message id) of each push."""

    def __init__(self, room: Newsroom, model: Model) -> None:
        self.room, self.model = room, model
        self.sent: dict[tuple[str, str], list[tuple[int, bool, str]]] = {}

    def take(self, claims: list[Claim]) -> None:
        """Each partner's pushes of a release in order, a repeat under its first id, none after a withdrawal."""
        for claim in claims:
            message = json.loads(claim.body)
            release, gone = message["data"]["release"], message["type"] == "release.withdrawn"
            known = next(known for known in self.model.releases if str(known.id) == release["id"])
            pushes = self.sent.setdefault((self.room.partners[claim.subscription_id], known.slug), [])
            push = (release["revision"], gone, claim.message_id)
            assert not pushes or pushes[-1] == push or pushes[-1][:2] < push[:2], (pushes, push)
            assert known.shown and release["revision"] <= known.shown
            if gone:
                told = {headline for words in known.revisions for headline in words.headlines.values()}
                assert known.gone and not any(headline in claim.body.decode() for headline in told)
            else:
                # What was withdrawn and told so to everybody is not sent any more.
                assert not known.gone or any(known is waiting for waiting, _, _ in self.model.to_plan), known
                told = known.revisions[release["revision"] - 1].headlines
                assert {e["headline"] for e in release["editions"].values()} <= set(told.values())
            pushes.append(push)

    def check_last(self) -> None:
        """Once all is delivered, each partner's last push of a release is what readers see."""
        for known in self.model.releases:
            for partner, (_, categories) in ORDERS.items():
                pushes = self.sent.get((partner, known.slug), [])
                if known.gone:
                    assert not pushes or pushes[-1][1], "whoever was sent it is told that it is gone"
                elif not known.shown:
                    assert not pushes
                elif not categories or set(categories) & set(known.words.categories) or pushes:
                    assert pushes and pushes[-1][:2] == (known.shown, False)
