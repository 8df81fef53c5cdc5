"""HTTP to servers that are not trusted: every request ends in time, every body is bounded, no redirect is followed.

What httpx bounds is the wait for each piece of an answer; a server that sends a byte now and then would hold a thread
for ever. So this speaks to httpcore, which httpx is made of, through connections whose every read knows when the
whole request must be over.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterable
from typing import Any

import httpcore

CONNECT_S = 2.0


class HttpFailure(Exception):
    """A request that got no usable answer: ``reason`` is a phrase of ours, never a word of the server's."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class Http:
    """Connections to any number of servers. Thread-safe.

    Args:
        n_connections: open at once.
    """

    def __init__(self, n_connections: int) -> None:
        self._until = _RequestDeadline()
        backend = _Backend(self._until)
        self._pool = httpcore.ConnectionPool(
            max_connections=n_connections, max_keepalive_connections=n_connections, keepalive_expiry=30.0, network_backend=backend
        )

    def send(
        self, method: str, url: str, content: bytes, headers: dict[str, str], *, within_s: float, most_bytes: int, kind: str = ""
    ) -> bytes:
        """The body of an answer with status 200, and of the content type ``kind`` where one is named. Raises HttpFailure."""
        self._until.at_s = time.monotonic() + within_s
        plain = [("Accept-Encoding", "identity"), ("Content-Type", "application/json"), *headers.items()]
        timeouts = {"connect": min(CONNECT_S, within_s), "read": within_s, "write": within_s, "pool": within_s}
        try:
            with self._pool.stream(method, url, headers=plain, content=content, extensions={"timeout": timeouts}) as answer:
                if answer.status != 200:
                    raise HttpFailure(f"HTTP {answer.status}")
                if kind and _content_type(answer.headers) != kind:
                    raise HttpFailure("a body of another content type")
                return _body(answer.iter_stream(), most_bytes)
        except HttpFailure:
            raise
        except httpcore.TimeoutException:
            raise HttpFailure("it did not answer in time") from None
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.UnsupportedProtocol, OSError, ssl.SSLError) as error:
            raise HttpFailure(f"the connection failed ({type(error).__name__})") from None

    def close(self) -> None:
        self._pool.close()


def _content_type(headers: list[tuple[bytes, bytes]]) -> str:
    found = [value for name, value in headers if name.lower() == b"content-type"]
    return found[0].partition(b";")[0].strip().lower().decode("latin-1") if len(found) == 1 else ""


def _body(parts: Iterable[bytes], most_bytes: int) -> bytes:
    body = bytearray()
    for part in parts:
        body += part
        if len(body) > most_bytes:
            raise HttpFailure(f"a body of more than {most_bytes} bytes")
    return bytes(body)


class _RequestDeadline(threading.local):
    """When the request of this thread must be over."""

    at_s = float("inf")

    def left_s(self) -> float:
        left = self.at_s - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("the whole request took too long")
        return left


class _Stream(httpcore.NetworkStream):
    """A connection whose reads and writes end when the request must."""

    def __init__(self, stream: httpcore.NetworkStream, until: _RequestDeadline) -> None:
        self._stream, self._until = stream, until

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._until.left_s())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._until.left_s())

    def close(self) -> None:
        self._stream.close()

    def start_tls(self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None) -> _Stream:
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, timeout), self._until)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _Backend(httpcore.SyncBackend):
    def __init__(self, until: _RequestDeadline) -> None:
        self._until = until

    def connect_tcp(self, *arguments: Any, **options: Any) -> _Stream:
        return _Stream(super().connect_tcp(*arguments, **options), self._until)
