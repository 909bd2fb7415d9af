"""A Hub on the loopback interface: repositories with files, and the ways in which the real one fails."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class HubStub:
    """Serves `repositories` (id -> name -> bytes); `faults` change how, `requests` records what was asked."""

    def __init__(self):
        self.repositories = {}
        self.requests = []
        self.break_after = []
        """For each download in turn: bytes after which the connection breaks, None for none."""
        self.corrupt = False
        self.status = {}
        """Repository -> (status, X-Error-Code)."""
        self.ignore_range = False
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"stub": self}))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exc):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def ranges(self):
        """The Range header of every download, in order."""
        return [found for method, _, found in self.requests if method == "GET-FILE"]


class _Handler(BaseHTTPRequestHandler):
    stub: HubStub

    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_HEAD(self):
        self._file(body=False)

    def do_GET(self):
        if self.path.startswith("/api/models/"):
            self._info(self.path.removeprefix("/api/models/").split("?")[0])
        else:
            self._file(body=True)

    def _info(self, repository):
        self.stub.requests.append(("GET-INFO", repository, None))
        if self._refused(repository):
            return
        siblings = [
            {
                "rfilename": name,
                "size": len(content),
                "blobId": "f" * 40,
                "lfs": {"size": len(content), "sha256": _sha256(content), "pointerSize": 134},
            }
            for name, content in self.stub.repositories[repository].items()
        ]
        siblings.append({"rfilename": "README.md", "size": 3, "blobId": "e" * 40})
        answer = {"id": repository, "modelId": repository, "sha": COMMIT, "siblings": siblings, "tags": []}
        body = json.dumps(answer).encode()
        self._headers(200, {"Content-Type": "application/json", "Content-Length": len(body)})
        self.wfile.write(body)

    def _file(self, *, body):
        match = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", self.path.split("?")[0])
        repository, name = (match[1], match[3]) if match else ("", "")
        if self._refused(repository):
            return
        content = self.stub.repositories[repository][name]
        asked = self.headers.get("Range")
        start = int(re.match(r"bytes=(\d+)-", asked)[1]) if asked and not self.stub.ignore_range else 0
        part = content[start:]
        headers = {
            "X-Repo-Commit": COMMIT,
            "ETag": f'"{_sha256(content)}"',
            "X-Linked-Etag": f'"{_sha256(content)}"',
            "X-Linked-Size": len(content),
            "Accept-Ranges": "bytes",
            "Content-Length": len(part),
        }
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        self._headers(206 if start else 200, headers)
        if body:
            self.stub.requests.append(("GET-FILE", name, asked))
            self._send(part)

    def _send(self, part):
        limit = self.stub.break_after.pop(0) if self.stub.break_after else None
        if self.stub.corrupt:
            part = bytes([part[0] ^ 1]) + part[1:]
        self.wfile.write(part if limit is None else part[:limit])
        if limit is not None:
            self.wfile.flush()
            self.close_connection = True

    def _refused(self, repository):
        status, code = self.stub.status.get(repository, (None, None))
        if status is None and repository not in self.stub.repositories:
            status, code = 404, "RepoNotFound"
        if status is not None:
            self._headers(status, {"X-Error-Code": code or "", "Content-Length": 0})
        return status is not None

    def _headers(self, status, headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, str(value))
        self.end_headers()


def _sha256(content):
    return hashlib.sha256(content).hexdigest()
