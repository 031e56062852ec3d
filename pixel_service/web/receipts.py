"""The consent receipt as a file, behind the same link as the preferences page (E7). It reads, and acts on nothing."""

import json

from starlette.requests import Request
from starlette.responses import Response

from pixel_service.usecases.preferences import read_link
from pixel_service.usecases.receipts import receipt_of
from pixel_service.web.language import language_of
from pixel_service.web.views import context_of, link_unknown, token_of

#: After the address of a person's preferences page.
FILE = "receipt.jsonld"


async def download(request: Request) -> Response:
    """GET /p/{token}/receipt.jsonld"""
    ctx = context_of(request)
    subscriber_id = read_link(ctx, token_of(request))
    receipt = await receipt_of(ctx, subscriber_id) if subscriber_id else None
    if receipt is None:
        return link_unknown(request, language_of(request))
    return Response(
        json.dumps(receipt, ensure_ascii=False, indent=2),
        media_type="application/ld+json",
        headers={"Content-Disposition": f'attachment; filename="consent-{FILE}"'},
    )
