"""Receives Crier's callbacks: python3 callback.py, and crier --webhook.url http://127.0.0.1:8000/

CRIER_WEBHOOK_SECRET is one of Crier's webhook.secrets (whsec_…), PORT where to listen.
"""

import base64
import hashlib
import hmac
import json
import os
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOLERANCE = 300  # seconds that a callback may be old, or early
KEY = base64.b64decode(os.environ.get("CRIER_WEBHOOK_SECRET", "").removeprefix("whsec_"))
if not KEY:
    raise SystemExit("CRIER_WEBHOOK_SECRET has to be whsec_ and base64")  # without a key anybody could sign


def genuine(headers, body: bytes) -> bool:
    """Whether Crier signed these very bytes, and lately (standardwebhooks.com)."""
    name, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not timestamp.isdecimal() or abs(time.time() - int(timestamp)) > TOLERANCE:
        return False
    mac = hmac.new(KEY, f"{name}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    want = b"v1," + base64.b64encode(mac)
    # There are several signatures while webhook.secrets are changed.
    given = headers.get("webhook-signature", "").encode().split(b" ")
    return any([hmac.compare_digest(one, want) for one in given])


def handle(event: dict) -> int:
    """A callback comes again until it is answered by 2xx, so it can come twice. Make one quick statement of it that
    does not mind: UPDATE users SET online = ?, version = ? WHERE uid = ? AND version < ?"""
    if event["type"] == "client.event":  # what a browser says, of forward.events: forward.url is the place for it
        return 404
    print(event["type"], event["data"]["uid"], event["data"]["version"], flush=True)
    return 204


class Callback(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # keeps Crier's connection open
    timeout = 60

    def do_POST(self):
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length) if 0 <= length <= 65536 else b""
        # If it fails there is no answer, and Crier tries again.
        status = handle(json.loads(body)) if genuine(self.headers, body) else 401
        self.send_response(status)
        self.send_header("Content-Length", "0")
        if status != 204:
            self.send_header("Connection", "close")  # there may be an unread body
        self.end_headers()


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", 8000))), Callback)
    print("listening on http://%s:%d/" % server.server_address, flush=True)
    server.serve_forever()
