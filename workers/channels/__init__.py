"""How each channel is served: a file each, that turns a claim into requests and their answers into one result.

A channel is a generator: it yields a request, is sent the response, and may go on so; what it returns is the
response that the delivery is judged by. It opens no socket, reads no clock and writes nothing, so that the courier
bounds, vets and records every channel in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from datetime import datetime

from service.model import Channel, Claim
from workers.channels.email import mail
from workers.channels.webhook import push
from workers.channels.websub import distribute
from workers.channels.wordpress import post
from workers.outbound import Mail, Request, Response

Conversation = Generator[Request | Mail, Response, Response]
Serve = Callable[[Claim, datetime], Conversation]

CHANNELS: Mapping[Channel, Serve] = {
    Channel.WEBHOOK: push,
    Channel.WEBSUB: distribute,
    Channel.WORDPRESS: post,
    Channel.EMAIL: mail,
}
