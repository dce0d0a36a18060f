"""The main job from end to end: one release in, every feed and a partner's signed push out.

Starts the real service on free ports with data of its own, which it removes again.
"""

from __future__ import annotations

import html
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import regex
from lxml import etree

HERE = Path(__file__).parent
PATIENCE_SECONDS = 60.0
FORMATS = ("atom", "rss", "json")
NAMES = {"a": "http://www.w3.org/2005/Atom", "content": "http://purl.org/rss/1.0/modules/content/"}


class DemoFailed(Exception):
    """The sentence that the person at the terminal reads."""


class Client:
    """The service over HTTP, as a program of the newsroom would use it."""

    def __init__(self, base_url: str, key: str) -> None:
        self.base_url, self._key = base_url, key

    def fetch(self, path: str, document: Any = None) -> bytes:
        data = None if document is None else json.dumps(document).encode()
        headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
        with urllib.request.urlopen(urllib.request.Request(self.base_url + path, data, headers), timeout=20) as answer:
            return answer.read()

    def call(self, path: str, document: Any = None) -> Any:
        try:
            return json.loads(self.fetch(path, document))
        except urllib.error.HTTPError as error:
            raise DemoFailed(f"{path} answered {error.code}: {_readable(error.read())}") from None


def main(release_path: str) -> None:
    release = read_release(release_path)
    with tempfile.TemporaryDirectory(prefix="diglot-demo-") as folder:
        port, partner_port, key = free_port(), free_port(), secrets.token_urlsafe(24)
        client = Client(f"http://127.0.0.1:{port}", key)
        profile = write_profile(Path(folder), client.base_url, release)
        environment = os.environ | {
            "DIGLOT_PORT": str(port), "DIGLOT_DATA_DIR": f"{folder}/data", "DIGLOT_PROFILE": str(profile),
            "DIGLOT_ADMIN_KEY": key, "DIGLOT_ALLOW_NETWORKS": "127.0.0.0/8",
        }
        for name in ("DIGLOT_DATABASE_URL", "DIGLOT_REDIS_URL"):
            environment.pop(name, None)
        print("Starting web, worker, beat and broker ...", flush=True)
        with running([str(Path(sys.executable).with_name("diglot")), "run"], environment, f"{folder}/service.log"):
            wait_until("the service to be ready", lambda: is_ready(client), f"{folder}/service.log")
            show(client, release, Path(folder), partner_port)


def show(client: Client, release: Any, folder: Path, partner_port: int) -> None:
    languages = list(release["editions"])
    subscription = client.call("/v1/subscriptions", {
        "partner": "Sample partner", "channel": "webhook",
        "callback": f"http://127.0.0.1:{partner_port}/", "languages": languages,
    })
    inbox = folder / "inbox.jsonl"
    environment = os.environ | {
        "PORT": str(partner_port), "DIGLOT_SECRET": subscription["secret"], "DIGLOT_INBOX": str(inbox),
    }
    with running([sys.executable, str(HERE / "receiver.py")], environment, str(folder / "partner.log")):
        wait_until("the sample partner to listen", lambda: is_listening(partner_port), str(folder / "partner.log"))
        print("Posting the release ...", flush=True)
        started = time.monotonic()
        posted = client.call("/v1/releases", release)
        for warning in posted["warnings"]:
            print(f"  Warning {warning['pointer']}: {warning['detail']}")
        rows = list(check_all(client, release, posted, inbox, started, str(folder / "service.log")))
    print_table(rows)


def check_all(
    client: Client, release: Any, posted: Any, inbox: Path, started: float, log: str
) -> Iterator[tuple[str, str, str]]:
    """A row (what, where, result) for each thing that must have happened. Raises DemoFailed."""
    path = f"/v1/releases/{posted['id']}"
    wait_until("the release to be public", lambda: client.call(path)["published_at"], log)
    public = f"public after {time.monotonic() - started:.2f} s"
    for tag, edition in posted["editions"].items():
        name = edition["url"].removeprefix(client.base_url).split("/")[1]
        for format_ in FORMATS:
            address = f"/feeds/{name}.{format_}"
            content = entry_content(client.fetch(address), format_, edition["url"])
            yield f"{tag} {format_}", client.base_url + address, compare(release, tag, split_html(content))
        client.fetch(edition["url"].removeprefix(client.base_url))
        yield f"{tag} page", edition["url"], public
    wait_until("the push to arrive", inbox.exists, log)
    message = json.loads(inbox.read_text("utf-8").splitlines()[0])
    for tag, edition in message["data"]["release"]["editions"].items():
        arrived = split_text(edition["body_text"])
        yield f"{tag} push", "Sample partner, signature verified", compare(release, tag, arrived)
    [delivery] = wait_until("the delivery's record", lambda: delivered(client, path), log)
    attempt = delivery["attempts"][-1]
    where = f"{delivery['message_id']}, attempt {attempt['number']}"
    yield "delivery", where, f"{delivery['state']}: {attempt['status']} in {attempt['duration_ms']} ms"


def delivered(client: Client, path: str) -> list[Any] | None:
    items = client.call(f"{path}/deliveries")["items"]
    return items if items and items[0]["state"] == "delivered" else None


def entry_content(body: bytes, format_: str, url: str) -> str:
    """The HTML of the entry whose own page is at `url`."""
    if format_ == "json":
        found = [item["content_html"] for item in json.loads(body)["items"] if item["url"] == url]
    elif format_ == "atom":
        query = "//a:entry[a:link[@rel='alternate']/@href=$url]/a:content/text()"
        found = etree.fromstring(body).xpath(query, namespaces=NAMES, url=url)
    else:
        found = etree.fromstring(body).xpath("//item[link=$url]/content:encoded/text()", namespaces=NAMES, url=url)
    if not found:
        raise DemoFailed(f"the {format_} feed lacks {url}")
    return str(found[0])


def compare(release: Any, tag: str, arrived: list[str]) -> str:
    """How many paragraphs arrived character for character; raises DemoFailed where one did not."""
    edition = release["editions"][tag]
    if "body_text" not in edition:
        return f"{len(arrived)} paragraphs"
    sent = split_text(edition["body_text"])
    same = sum(paragraph in arrived for paragraph in sent)
    if same < len(sent):
        raise DemoFailed(f"{tag}: only {same} of {len(sent)} paragraphs arrived as they were sent")
    return f"{same} of {len(sent)} paragraphs, to the letter"


def split_text(text: str) -> list[str]:
    return [part for part in regex.split(r"\n\s*\n", text.strip()) if part]


def split_html(content: str) -> list[str]:
    return [html.unescape(part.replace("<br>", "\n")) for part in regex.findall(r"<p>(.*?)</p>", content, regex.DOTALL)]


def print_table(rows: list[tuple[str, str, str]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    print()
    for what, where, result in rows:
        print(f"  {what:{widths[0]}}  {where:{widths[1]}}  {result}")
    print("\nEvery edition is out, and the partner has it.")


def read_release(path: str) -> Any:
    try:
        return json.loads(Path(path).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise DemoFailed(f"{path} can't be read as JSON: {error}") from None


def write_profile(folder: Path, base_url: str, release: Any) -> Path:
    """The shipped newsroom at this demo's own address."""
    profile = json.loads((HERE.parent / "newsroom.json").read_text("utf-8")) | {"base_url": base_url}
    path = folder / "newsroom.json"
    path.write_text(json.dumps(profile, ensure_ascii=False), "utf-8")
    return path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def is_ready(client: Client) -> bool:
    try:
        return bool(json.loads(client.fetch("/readyz"))["status"] == "ok")
    except OSError:
        return False


def wait_until(what: str, condition: Callable[[], Any], log: str) -> Any:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.02)
    tail = "\n".join(Path(log).read_text("utf-8", "replace").splitlines()[-15:])
    raise DemoFailed(f"waited {PATIENCE_SECONDS:.0f} s in vain for {what}; the log ends:\n{tail}")


@contextmanager
def running(command: list[str], environment: dict[str, str], log: str) -> Iterator[None]:
    with open(log, "wb") as out:
        process = subprocess.Popen(command, env=environment, stdout=out, stderr=out, start_new_session=True)
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)


def _readable(body: bytes) -> str:
    try:
        problem = json.loads(body)
    except ValueError:
        return body.decode("utf-8", "replace")
    faults = (f"\n  {fault['pointer']}: {fault['detail']}" for fault in problem.get("errors", ()))
    return problem.get("detail", "") + "".join(faults)


if __name__ == "__main__":
    try:
        main(sys.argv[1] if len(sys.argv) > 1 else str(HERE / "release.json"))
    except DemoFailed as failure:
        sys.exit(f"The demo failed: {failure}")
