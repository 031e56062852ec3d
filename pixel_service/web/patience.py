"""Slow and endless clients end here (X6): uvicorn's parser has no deadline and no limit for the head of a request.

Behind a proxy this rarely fires; without one it keeps half-sent requests from holding the pixel's sockets.
"""

import asyncio
from math import inf

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

#: Seconds until the head of a request must be complete, from the connection or from its first byte.
HEAD_SECONDS = 10
#: Seconds until its body must be.
BODY_SECONDS = 60
#: How often a connection under way is looked at: one timer per connection, not one per request.
LOOK_SECONDS = 1
#: Bytes of a head; browsers stay below 16 KB.
LONGEST_HEAD = 64 * 1024


class BoundedProtocol(HttpToolsProtocol):
    _timer: asyncio.TimerHandle | None = None
    #: Of the loop's clock; nothing is waited for after `inf`.
    _deadline = inf
    _in_head = True
    _head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as the parent does
        super().connection_made(transport)
        self._wait(HEAD_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > LONGEST_HEAD:
            self.transport.abort()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._head_bytes = True, 0
        self._wait(HEAD_SECONDS)

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._wait(BODY_SECONDS)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._deadline = inf
        super().on_message_complete()

    def _wait(self, seconds: float) -> None:
        self._deadline = self.loop.time() + seconds
        if self._timer is None:
            self._timer = self.loop.call_later(LOOK_SECONDS, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._deadline == inf:
            return
        if self.loop.time() >= self._deadline:
            self.transport.abort()
        else:
            self._timer = self.loop.call_later(LOOK_SECONDS, self._look)
