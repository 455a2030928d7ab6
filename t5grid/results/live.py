"""studies -> the page on the loopback interface, with fresh data as records land."""

import hashlib
import json
import re
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from t5grid.results.report import page, page_data
from t5grid.results.study import Study

REFRESH = 2.0
"""Seconds for which the server gives the same data again."""


class Live:
    """The data of studies, made again when they are asked for and older than `REFRESH` seconds."""

    def __init__(self, studies: Sequence[Study]) -> None:
        self._studies, self._lock = studies, threading.Lock()
        self._made, self._text = float("-inf"), b""

    def data(self) -> bytes:
        """The data as JSON in UTF-8."""
        with self._lock:
            if time.monotonic() - self._made > REFRESH:
                made = {"studies": [page_data(study) for study in self._studies], "live": True}
                self._text = json.dumps(made, ensure_ascii=False, allow_nan=False).encode()
                self._made = time.monotonic()
            return self._text

    def page(self) -> bytes:
        """The page over the present data."""
        return page(**json.loads(self.data())).encode()


OWN_HOST = re.compile(r"(127\.0\.0\.1|localhost)(:\d+)?", re.IGNORECASE)  # any port: one may be forwarded


def server(studies: Sequence[Study], port: int) -> ThreadingHTTPServer:
    """A server of the live page, on the loopback interface only; port 0 takes any free one.

    It answers under its own name only: a page of another site may have its name lead to 127.0.0.1.
    """
    live = Live(studies)
    routes: dict[str, tuple[str, Callable[[], bytes]]] = {
        "/": ("text/html; charset=utf-8", live.page),
        "/data.json": ("application/json", live.data),
    }

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if not OWN_HOST.fullmatch(self.headers.get("Host", "")):
                self.send_error(421, "This page answers as 127.0.0.1 and localhost only")
                return
            if self.path not in routes:
                self.send_error(404)
                return
            kind, content = routes[self.path]
            body = content()
            tag = f'"{hashlib.blake2b(body, digest_size=8).hexdigest()}"'
            same = self.headers.get("If-None-Match") == tag
            self.send_response(304 if same else 200)
            self.send_header("ETag", tag)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", "0" if same else str(len(body)))
            self.end_headers()
            if not same:
                with suppress(ConnectionError):  # the reader has left
                    self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Requests are not worth a line each."""

    return ThreadingHTTPServer(("127.0.0.1", port), Handler)
