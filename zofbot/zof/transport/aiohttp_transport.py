"""Sends httpx's requests with aiohttp, for a fraction of the CPU time that httpx's own connection pool takes."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import aiohttp
import httpx
from yarl import URL

MAX_CONNECTIONS = 16
"""Connections to Zof: a person's lookup finds a free one while the poller reads four runs at a time."""

_KEEPALIVE_SECONDS = 5.0
# Limits of one attempt, so that a hanging connection leaves time for another. Waiting for the pool has the deadline.
_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=10)
_MAX_HEADER_BYTES = 64 * 1024


class AiohttpTransport(httpx.AsyncBaseTransport):
    """Pooled connections that neither follow redirects, keep cookies, decompress, nor read the environment.

    Raises httpx's errors. aiohttp repeats a GET once if the connection closes before a reply. ``context`` is None if
    addresses are not encrypted.
    """

    def __init__(self, context: ssl.SSLContext | None) -> None:
        self._context = context
        self._session: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; its response's body is read, and its connection released, through ``stream``."""
        session = self._session = self._session or self._open_session()
        with _httpx_errors():
            reply = await session.request(
                request.method,
                URL(str(request.url), encoded=True),
                headers=request.headers,
                data=request.content or None,
                allow_redirects=False,
            )
        return httpx.Response(reply.status, headers=list(reply.raw_headers), stream=_ReplyStream(reply))

    async def aclose(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    def _open_session(self) -> aiohttp.ClientSession:
        """Open the session, which needs a running event loop."""
        connector = aiohttp.TCPConnector(
            limit=MAX_CONNECTIONS, keepalive_timeout=_KEEPALIVE_SECONDS, ssl=self._context or True
        )
        return aiohttp.ClientSession(
            connector=connector, timeout=_TIMEOUT, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False,
            max_line_size=_MAX_HEADER_BYTES, max_field_size=_MAX_HEADER_BYTES,
        )  # fmt: skip


class _ReplyStream(httpx.AsyncByteStream):
    """The body of a reply as it arrives."""

    def __init__(self, reply: aiohttp.ClientResponse) -> None:
        self._reply = reply

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _httpx_errors():
            async for chunk in self._reply.content.iter_any():
                yield chunk

    async def aclose(self) -> None:
        self._reply.release()  # closes the connection if the body was not read to its end


@contextmanager
def _httpx_errors() -> Iterator[None]:
    """Raise aiohttp's errors as httpx's; not chained, because aiohttp's show the request's headers, with the key."""
    try:
        yield
    except aiohttp.ConnectionTimeoutError:
        raise httpx.ConnectTimeout("no connection in time") from None
    except TimeoutError:
        raise httpx.ReadTimeout("no reply in time") from None
    except aiohttp.ClientConnectorError as error:
        raise httpx.ConnectError(str(error)) from None
    except aiohttp.InvalidURL:
        raise httpx.UnsupportedProtocol("invalid address") from None
    except (aiohttp.ServerDisconnectedError, aiohttp.ClientPayloadError, aiohttp.ClientResponseError) as error:
        raise httpx.RemoteProtocolError(type(error).__name__) from None
    except (aiohttp.ClientError, OSError) as error:
        raise httpx.ReadError(type(error).__name__) from None
