"""A folder of repositories served as the Hugging Face hub serves data sets: the routes that loading uses."""

import contextlib
import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlparse

API, RESOLVE = "/api/datasets/", "/datasets/"


class Hub(BaseHTTPRequestHandler):
    """Answers for `root/<owner>/<name>`, each at one commit."""

    root: Path
    commit: str
    asked: list[str]

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self, with_body: bool) -> None:
        path = urlparse(self.path).path
        self.asked.append(path)
        body = self._body(path)
        if isinstance(body, str):
            self.send_response(404)
            self.send_header("X-Error-Code", body)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("ETag", f'"{hashlib.sha256(body).hexdigest()}"')
        self.send_header("X-Repo-Commit", self.commit)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def _body(self, path: str) -> bytes | str:
        """The bytes of an answer, or the hub's word for what is missing."""
        if path == "/":
            return b""
        prefix = API if path.startswith(API) else RESOLVE
        owner, name, *rest = path.removeprefix(prefix).split("/")
        folder = self.root / owner / name
        if not folder.is_dir():
            return "RepoNotFound"
        if prefix == API:
            return self._about(folder, f"{owner}/{name}", rest)
        revision, file = rest[1], folder / "/".join(rest[2:])
        if revision not in (self.commit, "main"):
            return "RevisionNotFound"
        return file.read_bytes() if file.is_file() else "EntryNotFound"

    def _about(self, folder: Path, repository: str, rest: list[str]) -> bytes | str:
        kind, revision, *inner = rest or ["revision", "main"]
        if revision not in (self.commit, "main"):
            return "RevisionNotFound"
        if kind == "tree":
            found = sorted((folder / "/".join(inner)).rglob("*"))
            listed = [
                {
                    "type": "file" if path.is_file() else "directory",
                    "path": path.relative_to(folder).as_posix(),
                    "oid": hashlib.sha1(path.name.encode()).hexdigest(),
                    "size": path.stat().st_size if path.is_file() else 0,
                }
                for path in found
            ]
            return json.dumps(listed).encode()
        names = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
        about = {
            "id": repository,
            "sha": self.commit,
            "siblings": [{"rfilename": name, **_content(folder / name)} for name in sorted(names)],
            "private": False,
            "gated": False,
            "disabled": False,
            "downloads": 0,
            "likes": 0,
            "tags": [],
            "lastModified": "2024-01-01T00:00:00.000Z",
        }
        return json.dumps(about).encode()


def _content(path: Path) -> dict[str, object]:
    """Size and git's identity of a file, which the hub gives where blobs are asked for."""
    body = path.read_bytes()
    return {"size": len(body), "blobId": hashlib.sha1(b"blob %d\0%s" % (len(body), body)).hexdigest()}


@contextlib.contextmanager
def serving(root: Path, commit: str) -> Iterator[tuple[str, list[str]]]:
    """The address of a hub of the repositories in `root`, and the paths it was asked for."""
    handler = type("Served", (Hub,), {"root": root, "commit": commit, "asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", handler.asked  # type: ignore[attr-defined]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
