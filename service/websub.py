"""The rules of the hub (W3C WebSub, Recommendation of 2018-01-23): nothing here stores, sends or asks the time."""

from __future__ import annotations

import hmac
import random
from collections.abc import Container, Mapping
from datetime import datetime, timedelta
from urllib.parse import urlencode

from service.clock import new_id
from service.config import Profile
from service.errors import DiglotError, Fault, Invalid
from service.messages import say, ui_language
from service.model import Intent, IntentMode, IntentState, Secret, Subscription
from service.networks import AllowedNetworks, find_callback_fault, server_of
from service.schema_faults import find_schema_faults, json_pointer

DAY_SECONDS = 24 * 3600
# Section 5.1 leaves the lease to the hub, section 7.2 recommends ten days.
USUAL_LEASE, SHORTEST_LEASE, LONGEST_LEASE = 10 * DAY_SECONDS, DAY_SECONDS, 30 * DAY_SECONDS
MOST_SECRET_BYTES = 199
# Section 5.1: what else a form holds is ignored, also where it stands twice.
FIELDS = frozenset({"hub.mode", "hub.topic", "hub.callback", "hub.secret", "hub.lease_seconds"})
# Of one callback host: nobody is flooded in our name, and a host that answers nothing gathers little.
MOST_WAITING = 100
MOST_AN_HOUR = 300
MOST_SUBSCRIPTIONS = 1000
# Of one subscriber, who so may renew or leave whatever others ask for on its host, or on all hosts together.
MOST_RENEWALS_AN_HOUR = 12
# Of all hosts together.
MOST_WAITING_IN_ALL = 10_000
BUDGET_PERIOD = timedelta(hours=1)
# How long a refused caller waits where the end of the trouble can't be known.
PAUSE_SECONDS = 60
# Before the next try, after nobody was there. Whoever answers is asked once.
WAITS = tuple(timedelta(seconds=seconds) for seconds in (5, 60))
JITTER = 0.2


class TooManyVerifications(DiglotError):
    """The callback's ``host`` has used up its budget, or all have; it is worth asking again after ``wait_seconds``."""

    code = "too_many_verifications"


def read_intent(
    form: Mapping[str, str], profile: Profile, topics: Container[str], allowed: AllowedNetworks, now: datetime
) -> Intent | None:
    """What the form asks for (section 5.1); None where it is a publisher's ping, which says nothing new.

    ``topics`` are the paths of what can be subscribed to. Raises Invalid with every fault.
    """
    if form.get("hub.mode") == "publish":
        return None
    # A field that is there and empty says no more than one that is missing.
    given = {name: value for name, value in form.items() if value}
    topic = given.get("hub.topic", "").removeprefix(profile.base_url)
    faults = find_schema_faults("hub-request", given)
    if "hub.topic" in given and (topic == given["hub.topic"] or topic not in topics):
        faults.append(Fault(pointer=json_pointer("hub.topic"), code="unknown_topic"))
    if "hub.callback" in given and (code := find_callback_fault(given["hub.callback"], allowed)):
        faults.append(Fault(pointer=json_pointer("hub.callback"), code=code))
    if len(given.get("hub.secret", "").encode()) > MOST_SECRET_BYTES:
        params = {"limit": MOST_SECRET_BYTES}
        faults.append(Fault(pointer=json_pointer("hub.secret"), code="long_secret", params=params))
    if faults:
        raise Invalid(faults)
    callback = given["hub.callback"]
    return Intent(
        id=new_id(), mode=IntentMode(given["hub.mode"]), topic=topic, callback=callback, host=server_of(callback),
        secret=Secret(given.get("hub.secret", "")), lease_seconds=_lease(given.get("hub.lease_seconds")),
        created_at=now,
    )


def _lease(asked: str | None) -> int:
    return min(max(int(asked), SHORTEST_LEASE), LONGEST_LEASE) if asked else USUAL_LEASE


def deny(subscription: Subscription, why: str, now: datetime) -> Intent:
    """What a subscriber is told whose subscription the hub ends (section 5.2), in the language of the topic."""
    assert subscription.topic
    return Intent(
        id=new_id(), mode=IntentMode.DENIED, topic=subscription.topic, callback=subscription.callback,
        host=server_of(subscription.callback), reason=say(ui_language(subscription.languages[0]), f"denied.{why}"),
        created_at=now,
    )


def question(intent: Intent, base_url: str, challenge: str) -> str:
    """The URL that the subscriber is asked, or told, by (sections 5.2 and 5.3): the callback's own query stays."""
    fields = {"hub.mode": intent.mode.value, "hub.topic": f"{base_url}{intent.topic}"}
    if intent.mode is IntentMode.DENIED:
        fields["hub.reason"] = intent.reason or ""
    else:
        fields["hub.challenge"] = challenge
    if intent.mode is IntentMode.SUBSCRIBE:
        fields["hub.lease_seconds"] = str(intent.lease_seconds)
    return f"{intent.callback}{'&' if '?' in intent.callback else '?'}{urlencode(fields)}"


def judge(
    intent: Intent, status: int | None, body: bytes, challenge: str, now: datetime, chance: random.Random
) -> tuple[IntentState, datetime | None]:
    """What came of the question, and when to ask again if it is still due; ``status`` is None for no answer.

    Section 5.3: 2xx with the very challenge, and nothing else, confirms. An answer that doesn't is final, but for
    those that say themselves that they pass.
    """
    if status is not None and 200 <= status < 300:
        is_confirmed = intent.mode is IntentMode.DENIED or hmac.compare_digest(body, challenge.encode())
        return IntentState.VERIFIED if is_confirmed else IntentState.FAILED, None
    passes = status is None or status == 429 or status >= 500
    if not passes or intent.attempt > len(WAITS):
        return IntentState.FAILED, None
    return IntentState.DUE, now + WAITS[intent.attempt - 1] * (1 + JITTER * chance.random())


def sign_content(secret: str, body: bytes) -> str:
    """The value of ``X-Hub-Signature`` (section 7.1)."""
    return f"sha256={hmac.digest(secret.encode(), body, 'sha256').hex()}"
