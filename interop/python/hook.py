"""A callback server as its documentation asks for one (async.md section 2)."""

import base64
import hashlib
import hmac
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

# Jobs of these recordings take seconds; what takes this long does not come.
GIVES_UP_AFTER = 60


class Hook:
    """Echoes challenges and keeps what it is told, with whether the signature was that of its secret."""

    def __init__(self, secret):
        self.told = []
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def signed(self, message):
                digest = hmac.new(secret.encode(), message, hashlib.sha1).digest()
                return self.headers["X-Callback-Signature"] == base64.b64encode(digest).decode()

            def answer(self, body=b""):
                self.send_response(200)
                self.send_header("Content-Type", "text/plain")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self):
                challenge = parse_qs(urlsplit(self.path).query)["challenge_string"][0].encode()
                self.answer(challenge if self.signed(challenge) else b"whose is this?")

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hook.told.append((json.loads(body), self.signed(body)))
                self.answer()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/results"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def wait_for(self, count):
        """What it was told, once there is so much of it; each with a good signature."""
        until = time.monotonic() + GIVES_UP_AFTER
        while len(self.told) < count and time.monotonic() < until:
            time.sleep(0.02)
        assert len(self.told) >= count and all(signed for _, signed in self.told), self.told
        return [told for told, _ in self.told]

    def close(self):
        self.server.shutdown()
        self.server.server_close()
