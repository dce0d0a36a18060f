"""Receives the pushes of Diglot: DIGLOT_SECRET=whsec_... PORT=9000 python3 receiver.py"""
import base64
import hmac
import json
import os
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY = base64.b64decode(os.environ["DIGLOT_SECRET"].split("whsec_")[1])
INBOX = os.environ.get("DIGLOT_INBOX") or 1  # 1 is the standard output, which is not to be closed
MAX_BYTES, TOLERANCE_SECONDS = 8 * 1024 * 1024, 300
seen, lock = set(), threading.Lock()  # on your site: a unique key in the database


def is_genuine(msg_id: str, sent_at: str, signatures: str, body: bytes) -> bool:
    fresh = sent_at.isdecimal() and abs(time.time() - float(sent_at)) <= TOLERANCE_SECONDS
    expected = b"v1," + base64.b64encode(hmac.digest(KEY, f"{msg_id}.{sent_at}.".encode() + body, "sha256"))
    return fresh and any(hmac.compare_digest(expected, given.encode()) for given in signatures.split(" "))


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", -1))
        self.send_response(self.receive(length) if 0 <= length <= MAX_BYTES else 413)
        self.end_headers()

    def receive(self, length: int) -> int:
        msg_id, *rest = (self.headers.get(f"webhook-{n}", "") for n in ("id", "timestamp", "signature"))
        if not is_genuine(msg_id, *rest, body := self.rfile.read(length)):
            return 401
        with lock, open(INBOX, "a", encoding="utf-8", closefd=INBOX != 1) as out:
            if msg_id not in seen:
                print(json.dumps({"id": msg_id} | json.loads(body), ensure_ascii=False), file=out, flush=True)
                seen.add(msg_id)
        return 204


ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Receiver).serve_forever()
