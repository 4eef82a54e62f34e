"""A collector, made of OpenTelemetry's own protobufs: what comes is decoded, kept, and answered as one would."""

from __future__ import annotations

import contextlib
import gzip
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)


@dataclass
class Got:
    """A span that came."""

    span: Any
    resource: dict[str, Any]

    @property
    def attributes(self) -> dict[str, Any]:
        return _values(self.span.attributes)

    @property
    def trace(self) -> str:
        return str(self.span.trace_id.hex())

    @property
    def id(self) -> str:
        return str(self.span.span_id.hex())

    @property
    def parent(self) -> str:
        return str(self.span.parent_span_id.hex())


@dataclass
class Receiver:
    """Where it listens, and what it has got."""

    url: str = ""
    got: list[Got] = field(default_factory=list)
    refuses: bool = False

    def until(self, holds: Callable[[], object], seconds: float = 30) -> None:
        """Wait until what has come is as it should be."""
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline, [each.span.name for each in self.got]
            time.sleep(0.02)

    def named(self, name: str) -> list[Got]:
        return [each for each in self.got if each.span.name == name]


@contextlib.contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver while the block lasts."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            status = 400 if receiver.refuses or self.path != "/v1/traces" else 200
            if status == 200:
                asked = ExportTraceServiceRequest.FromString(body)
                for of in asked.resource_spans:
                    resource = _values(of.resource.attributes)
                    receiver.got += [Got(span, resource) for scope in of.scope_spans for span in scope.spans]
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(status)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Nothing: the test says what is wrong."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()


def _values(attributes: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}
