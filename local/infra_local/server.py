"""The HTTP server: HTTP/1.1 with keep-alive in front of moto's WSGI application.

moto's own server closes the connection after each answer, which costs a client with 32 calls in
flight more than moto's work does. Loopback only: the cloud holds access keys in clear.
"""

from __future__ import annotations

import contextlib
import io
import logging
import socketserver
import sys
import threading
import traceback
from http.server import HTTPServer
from urllib.parse import urlsplit

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app

from infra_local import control
from infra_local.calls import calls, error_response, identify
from infra_local.settings import settings

log = logging.getLogger("infra_local")

_NO_BODY = {204, 304}


class Application:
    """moto's WSGI application, with one lock round it when it is strict.

    moto's backends are plain dictionaries without locks; what AWS guarantees (two creates with one
    token make one object) needs one writer at a time. Python runs one thread at a time anyway, so
    one lock round everything costs nothing.
    """

    def __init__(self) -> None:
        self.app = DomainDispatcherApplication(create_backend_app)
        self.app.debug = False
        self.lock = threading.RLock()

    def __call__(self, environ: dict) -> tuple[int, list[tuple[str, str]], bytes]:
        answer: dict = {}

        def start_response(status: str, headers: list, exc_info=None) -> None:
            answer["status"] = int(status.split(" ", 1)[0])
            answer["headers"] = headers

        if settings.stock:
            body = self._collect(environ, start_response)
        else:
            with self.lock:
                body = self._collect(environ, start_response)
        return answer["status"], answer["headers"], body

    def _collect(self, environ: dict, start_response) -> bytes:
        chunks = self.app(environ, start_response)
        try:
            return b"".join(chunks)
        finally:
            if hasattr(chunks, "close"):
                chunks.close()


class Handler(MotoRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: Server

    def run_wsgi(self) -> None:
        environ = self.make_environ()
        body = self._read_body(environ)
        path = environ.get("PATH_INFO", "/")
        try:
            if self.server.cloud.spark and self._is_strangers():
                # Whoever can add a step runs what they want as this user: no page in a browser may.
                text = b"the local cloud runs steps, and answers no other site's pages\n"
                status, headers, out = 403, [("Content-Type", "text/plain")], text
            elif path.startswith("/infra-local/") or path == "/infra-local":
                status, headers, out = control.handle(
                    self.server.cloud, self.command, path, environ["QUERY_STRING"], body
                )
            else:
                status, headers, out = self._aws(environ, path, body)
        except Exception:
            log.error("%s %s failed:\n%s", self.command, path, traceback.format_exc())
            status, headers, out = 500, [("Content-Type", "text/plain")], traceback.format_exc().encode()
        self._answer(status, headers, out)

    def _is_strangers(self) -> bool:
        """Whether a page of somewhere else asks: browsers say so, and nothing else does."""
        origin = self.headers.get("Origin")
        return origin is not None and urlsplit(origin).hostname not in ("127.0.0.1", "localhost", "::1")

    def _aws(self, environ: dict, path: str, body: bytes):
        service, operation = identify(self.command, path, environ["QUERY_STRING"], self.headers, body)
        failure = calls.record(service, operation)
        if failure:
            status, headers, out = error_response(service, self.headers, failure)
            return status, list(headers.items()), out
        result = self.server.application(environ)
        self.server.cloud.touched(self.command, operation)
        return result

    def _read_body(self, environ: dict) -> bytes:
        """Read all of it, so that the next request on this connection starts where this one ends."""
        if environ.get("wsgi.input_terminated"):
            body = environ["wsgi.input"].read()
            environ.pop("HTTP_TRANSFER_ENCODING", None)
        else:
            length = int(environ.get("CONTENT_LENGTH") or 0)
            body = self.rfile.read(length) if length else b""
        environ["CONTENT_LENGTH"] = str(len(body))
        environ["wsgi.input"] = io.BytesIO(body)
        environ["wsgi.input_terminated"] = True
        return body

    def _answer(self, status: int, headers, body: bytes) -> None:
        self.send_response_only(status)
        own_length = None
        for name, value in headers:
            lowered = name.lower()
            if lowered == "content-length":
                own_length = value
            elif lowered not in ("connection", "transfer-encoding", "date"):
                self.send_header(name, str(value))
        self.send_header("Date", self.date_time_string())
        if status not in _NO_BODY:
            head = self.command == "HEAD"
            self.send_header("Content-Length", own_length if head and own_length else str(len(body)))
        self.end_headers()
        if self.command != "HEAD" and status not in _NO_BODY:
            self.wfile.write(body)
        self.wfile.flush()

    def handle_expect_100(self) -> bool:
        # The answer is buffered: without a flush the client waits its second (boto) for nothing.
        self.send_response_only(100)
        self.end_headers()
        self.wfile.flush()
        return True

    def log_request(self, code="-", size="-") -> None:
        pass

    def log_message(self, format: str, *args) -> None:
        log.debug(format, *args)

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError, TimeoutError):
            super().handle()

    def log_error(self, format: str, *args) -> None:
        log.debug(format, *args)

    def connection_dropped(self, error, environ=None) -> None:
        pass


class Server(socketserver.ThreadingMixIn, HTTPServer):
    daemon_threads = True
    request_queue_size = 512
    allow_reuse_address = True
    multithread = True
    multiprocess = False
    ssl_context = None

    def __init__(self, port: int, cloud) -> None:
        self.cloud = cloud
        self.application = cloud.application
        super().__init__(("127.0.0.1", port), Handler)

    def server_bind(self) -> None:
        # HTTPServer asks for the host's full name here, which may wait for a name server.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]

    def log(self, kind: str, message: str, *args) -> None:
        log.debug(message, *args)

    def handle_error(self, request, client_address) -> None:
        error = sys.exc_info()[1]
        if not isinstance(error, (ConnectionError, TimeoutError)):
            log.error("%s", traceback.format_exc())
