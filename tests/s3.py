"""An S3 server of the tests' own, and a proxy before it that fails. Import `server` and `s3`, and mark a test s3."""

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from solvent import stores

SECRET = "not-to-be-shown"
CURE = "pip install 'solvent-suite[s3]' 'moto[s3]' flask flask-cors"


class Proxy:
    """A server before another one, with faults that are drawn.

    Args:
        share: of the requests that fail: they are answered 500 or 503, or cut off before or after they get through, or
            in the middle of the answer.
        slow: the share of the others that are answered after `seconds`.
        denied: methods that are answered 403.
        files: a file system of fsspec that speaks to it.
    """

    def __init__(self, port: int, seed: int = 0) -> None:
        self.port, self.draw = port, random.Random(seed)
        self.share, self.slow, self.seconds = 0.0, 0.0, 0.2
        self.denied: tuple[str, ...] = ()
        self.seen: Counter[str] = Counter()  # requests by their method
        self.faults: Counter[str] = Counter()
        self._lock = threading.Lock()
        self.files: Any = None
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self) -> None:
                try:
                    super().handle_one_request()
                except (ConnectionError, TimeoutError):
                    self.close_connection = True

            def log_message(self, *_: Any) -> None: ...

            def do_GET(self) -> None:
                proxy.answer(self)

            def do_HEAD(self) -> None:
                proxy.answer(self)

            def do_PUT(self) -> None:
                proxy.answer(self)

            def do_POST(self) -> None:
                proxy.answer(self)

            def do_DELETE(self) -> None:
                proxy.answer(self)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def fault(self, method: str) -> str | None:
        with self._lock:
            self.seen[method] += 1
            if method in self.denied:
                return "denied"
            if self.draw.random() < self.share:
                found = self.draw.choice(["500", "503", "unheard", "unanswered", "cut"])
                self.faults[found] += 1
                return found
            return "slow" if self.draw.random() < self.slow else None

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        body = self._body(handler)
        fault = self.fault(handler.command)
        if fault in ("500", "503", "denied"):
            code = {"500": "InternalError", "503": "SlowDown", "denied": "AccessDenied"}[fault]
            text = f"<Error><Code>{code}</Code><Message>drawn</Message></Error>".encode()
            self._send(handler, {"denied": 403}.get(fault) or int(fault), {"Content-Type": "application/xml"}, text)
            return
        if fault == "slow":
            time.sleep(self.seconds)
        if fault == "unheard":
            handler.close_connection = True
            return
        behind = HTTPConnection("127.0.0.1", self.port, timeout=30)
        hop = {"connection", "transfer-encoding", "content-length", "expect"}
        headers = {name: value for name, value in handler.headers.items() if name.lower() not in hop}
        behind.request(handler.command, handler.path, body=body, headers=headers)
        answer = behind.getresponse()
        content = answer.read()
        behind.close()
        if fault == "unanswered":
            handler.close_connection = True
            return
        given = {name: value for name, value in answer.getheaders() if name.lower() not in hop}
        if handler.command == "HEAD":
            given["Content-Length"] = answer.headers.get("Content-Length", "0")
        self._send(handler, answer.status, given, content, cut=fault == "cut")

    @staticmethod
    def _body(handler: BaseHTTPRequestHandler) -> bytes:
        if handler.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        body = b""
        while size := int(handler.rfile.readline().split(b";")[0], 16):
            body += handler.rfile.read(size)
            handler.rfile.readline()
        handler.rfile.readline()
        return body

    @staticmethod
    def _send(
        handler: BaseHTTPRequestHandler, status: int, headers: dict[str, str], body: bytes, cut: bool = False
    ) -> None:
        handler.send_response_only(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        if "Content-Length" not in headers:
            handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(b"" if handler.command == "HEAD" else body[: len(body) // 2] if cut else body)
        handler.close_connection |= cut


@pytest.fixture(scope="session")
def server() -> Iterator[int]:
    """The port of a server."""
    pytest.importorskip("s3fs", reason=f"no client of S3: {CURE}")
    moto: Any = pytest.importorskip("moto.server", reason=f"no S3 server: {CURE}")
    running = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    yield running.get_host_and_port()[1]
    running.stop()


@pytest.fixture
def s3(server: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """A proxy before a store with the empty buckets in-bucket, models-bucket, out-bucket; the environment names it."""
    proxy = Proxy(server)
    for name, value in environment(proxy.address).items():
        monkeypatch.setenv(name, value)
    stores._files.cache_clear()  # it knows the environment of the test before
    HTTPConnection("127.0.0.1", server).request("POST", "/moto-api/reset")
    proxy.files = client()
    for bucket in ("in", "models", "out"):
        proxy.files.mkdir(f"{bucket}-bucket")
    yield proxy
    proxy.server.shutdown()
    proxy.server.server_close()
    stores._files.cache_clear()


def environment(address: str) -> dict[str, str]:
    """What names the store to its library."""
    return {
        "AWS_ENDPOINT_URL": address,
        "AWS_ACCESS_KEY_ID": "tests",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_MAX_ATTEMPTS": "1",  # what fails is to be seen
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def client() -> Any:
    """A file system of its own, which remembers nothing."""
    import s3fs

    return s3fs.S3FileSystem(use_listings_cache=False, skip_instance_cache=True)
