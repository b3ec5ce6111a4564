"""What every answer of the page forbids the browser, and who may write."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Nothing is loaded from anywhere else, and nobody frames the page; a dropped clip is played from memory.
_FORBIDDEN = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
        "media-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_READING = ("GET", "HEAD")


class OwnPagesOnly:
    """Refuses what another site's page sends, and adds to every answer what the browser must not do with it.

    A browser names in ``Origin`` the site whose page writes; what is no browser sends none and may do so.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_FORBIDDEN)
            await send(message)

        headers = Headers(scope=scope)
        origin = headers.get("origin")
        if origin is not None and _site(origin) != headers.get("host") and scope["method"] not in _READING:
            refusal = JSONResponse({"error": f"{origin}: another site may not write here"}, status_code=403)
            await refusal(scope, receive, guarded)
            return
        await self.app(scope, receive, guarded)


def _site(origin: str) -> str:
    """The host and port of an origin; empty for what is no address, which is nobody's."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""
