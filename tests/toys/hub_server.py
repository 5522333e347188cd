"""A Hugging Face hub on loopback: lists one commit of one model and sends its files."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import torch
from safetensors.torch import save_file

MODEL = "someone/tiny"
COMMIT = "87c7102498dcde7456f24cfd30239ca606ed9063"


@dataclass
class ToyHub:
    """What the server holds; tests change it between requests."""

    files: dict[str, bytes] = field(default_factory=dict)
    refusal: tuple[int, str] | None = None
    """Status and error code for every request."""
    sent: Mapping[str, bytes] = field(default_factory=dict)
    """What is sent instead of what is listed, by file."""
    requests: list[str] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)
    """What came as Authorization."""
    url: str = ""

    def downloads(self) -> list[str]:
        """Names of the files that were sent, in order of name."""
        return sorted(line.split("/")[-1] for line in self.requests if line.startswith("GET /some"))


@contextmanager
def running(hub: ToyHub) -> Iterator[ToyHub]:
    """Serves until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(with_body=True)

        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def _answer(self, *, with_body: bool) -> None:
            path = urlsplit(self.path).path
            hub.requests.append(f"{self.command} {path}")
            if "Authorization" in self.headers:
                hub.logins.append(self.headers["Authorization"])
            status, headers, body = answer(hub, path)
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            if with_body:
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()


def answer(hub: ToyHub, path: str) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body, as the hub gives them."""
    if hub.refusal is not None:
        status, code = hub.refusal
        return status, {"X-Error-Code": code} if code else {}, b""
    tree, resolve = f"/api/models/{MODEL}/tree/", f"/{MODEL}/resolve/"
    if not path.startswith((tree, resolve)):
        return 404, {"X-Error-Code": "RepoNotFound"}, b""
    commit, _, name = path.removeprefix(tree).removeprefix(resolve).partition("/")
    if commit != COMMIT:
        return 404, {"X-Error-Code": "RevisionNotFound"}, b""
    if path.startswith(tree):
        listed = [entry(name, content) for name, content in sorted(hub.files.items())]
        return 200, {"Content-Type": "application/json"}, json.dumps(listed).encode()
    if name not in hub.files:
        return 404, {"X-Error-Code": "EntryNotFound"}, b""
    told = entry(name, hub.files[name])
    headers = {"ETag": f'"{told["oid"]}"', "X-Repo-Commit": COMMIT}
    if "lfs" in told:
        headers["X-Linked-Etag"] = f'"{told["lfs"]["oid"]}"'
    return 200, headers, hub.sent.get(name, hub.files[name])


def entry(name: str, content: bytes) -> dict:
    """A file as the hub lists it: git's hash, of a pointer where the file itself is elsewhere."""
    told = {"type": "file", "path": name, "size": len(content), "oid": git_hash(content)}
    if name.endswith((".safetensors", ".bin")):
        sha256 = hashlib.sha256(content).hexdigest()
        told["oid"] = git_hash(f"oid sha256:{sha256}\nsize {len(content)}\n".encode())
        told["lfs"] = {"oid": sha256, "size": len(content), "pointerSize": 134}
    return told


def git_hash(content: bytes) -> str:
    """As `git hash-object` has it."""
    return hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()


def model_files(folder: Path, *, parts: int = 1) -> dict[str, bytes]:
    """A small model as save_pretrained writes it, and what else lies in repositories, by name."""
    names = ["model.safetensors"]
    if parts > 1:
        names = [f"model-{n + 1:05d}-of-{parts:05d}.safetensors" for n in range(parts)]
    files = {}
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        save_file({f"layer{number}": torch.full((4, 5), float(number))}, folder / name)
        files[name] = (folder / name).read_bytes()
    if parts > 1:
        weight_map = {f"layer{number}": name for number, name in enumerate(names)}
        files["model.safetensors.index.json"] = json.dumps({"weight_map": weight_map}).encode()
    files["config.json"] = b'{"model_type": "toy"}'
    files["preprocessor_config.json"] = b'{"sampling_rate": 16000}'
    files["tokenizer.json"] = b'{"version": "1.0"}'
    files["README.md"] = b"# Tiny"
    files["pytorch_model.bin"] = b"a pickle"
    files["onnx/model.safetensors"] = b"another"
    return files


def write_files(folder: Path, files: Mapping[str, bytes]) -> Path:
    """The files below a folder."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder
