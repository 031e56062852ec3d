"""`POST /v1/send` and how far a send got (D1). What may be sent to whom is decided in usecases/send.py."""

import re
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from pixel_service.domain.accounts import Scope
from pixel_service.domain.consent import Purpose
from pixel_service.domain.errors import InvalidInput
from pixel_service.domain.messages import SendId, Status
from pixel_service.domain.sends import Ruling
from pixel_service.usecases.context import Context
from pixel_service.usecases.send import SendAnswer, SendCommand, dry_run, progress_of, rulings_of, send
from pixel_service.web.api.auth import require
from pixel_service.web.api.models import SendRequest, read_id
from pixel_service.web.api.problems import read_body

#: The header's name is the field a problem names.
KEY = "Idempotency-Key"
_PAGE = re.compile(r"[0-9]{1,6}")
_PRINTABLE = re.compile(r"[\x20-\x7e]{1,255}")


@require(Scope.SEND)
async def create(request: Request) -> Response:
    """POST /v1/send: 202 and the verdicts; 200 for a dry run. A repeat under the same key gets the same answer."""
    ctx: Context = request.app.state.ctx
    asked = await read_body(request, SendRequest)
    command = SendCommand(
        campaign=asked.campaign,
        tags=None if asked.tags is None else tuple(asked.tags),
        purpose=Purpose(asked.purpose),
        content=asked.content(),
        recipients=asked.asked(),
        api_key_id=request.state.api_key.api_key_id,
        idempotency_key="" if asked.dry_run else _idempotency_key(request),
        body_hash=asked.body_hash(),
    )
    if asked.dry_run:
        return JSONResponse(_told(asked, await dry_run(ctx, command)))
    return JSONResponse(_told(asked, await send(ctx, command)), 202)


@require(Scope.SEND)
async def show(request: Request) -> Response:
    """GET /v1/sends/{send_id}: its verdicts so far, and its mails by status."""
    send_id = SendId(read_id(request.path_params["send_id"], "send"))
    found, delivery = await progress_of(request.app.state.ctx, send_id)
    return JSONResponse(
        {
            "send_id": found.send_id,
            "campaign_id": found.campaign_id,
            "counts": {"tracked": found.tracked, "untracked": found.untracked, "refused": found.refused},
            "finished": found.expanded_at is not None,
            "delivery": {status.value: delivery.get(status, 0) for status in Status},
            "warnings": found.warnings,
        }
    )


@require(Scope.SEND)
async def results(request: Request) -> Response:
    """GET /v1/sends/{send_id}/results?page=0: the verdict for each recipient, also of an audience. No addresses: an
    audience's are not the pipeline's to know."""
    send_id = SendId(read_id(request.path_params["send_id"], "send"))
    page = request.query_params.get("page", "0")
    if not _PAGE.fullmatch(page):
        raise InvalidInput("page", "must be a number from 0 to 999999")
    found = await rulings_of(request.app.state.ctx, send_id, int(page))
    return JSONResponse(
        {
            "send_id": send_id,
            "results": [{"index": index, **_ruling(one)} for index, one in enumerate(found.rulings, found.first)],
            "next_page": found.next_page,
            "finished": found.finished,
        }
    )


def _idempotency_key(request: Request) -> str:
    given = request.headers.getlist(KEY)
    if not given:
        raise InvalidInput(KEY, "this header is required, so that a repeated request sends nothing twice")
    if len(given) > 1 or not _PRINTABLE.fullmatch(given[0]):
        raise InvalidInput(KEY, "must be given once, as 1 to 255 printable ASCII characters")
    return given[0]


def _told(asked: SendRequest, answer: SendAnswer) -> Mapping[str, object]:
    return {
        "send_id": answer.send_id,
        "campaign_id": answer.campaign_id,
        "counts": {"tracked": answer.tracked, "untracked": answer.untracked, "refused": answer.refused},
        "finished": answer.finished,
        "warnings": answer.warnings,
        "results": None if answer.rulings is None else _results(asked, answer.rulings),
    }


def _results(asked: SendRequest, rulings: tuple[Ruling, ...]) -> list[Mapping[str, object]]:
    """Addresses come from the request, as they were written there: the send keeps none."""
    return [
        {"index": index, "address": recipient.address, **_ruling(ruling)}
        for index, (recipient, ruling) in enumerate(zip(asked.recipients or (), rulings, strict=True))
    ]


def _ruling(ruling: Ruling) -> Mapping[str, object]:
    return {
        "verdict": ruling.verdict,
        "reason": ruling.reason,
        "ledger_entry": ruling.ledger_seq,
        "message_id": ruling.message_id,
    }
