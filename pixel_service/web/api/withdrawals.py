"""`POST /v1/withdrawals`: what a person said to another program ends here as well, in the same use case (W6)."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from pixel_service.domain.accounts import Scope
from pixel_service.domain.address import parse_address
from pixel_service.domain.consent import Purpose
from pixel_service.usecases.withdraw_by_api import Withdrawal, withdraw_address
from pixel_service.web.api.auth import require
from pixel_service.web.api.models import WithdrawalRequest
from pixel_service.web.api.problems import read_body


@require(Scope.CONSENT)
async def create(request: Request) -> Response:
    """200 once it is stored, with what ended and the rows deleted; a repeat, and an address that is not on record, end
    and delete nothing."""
    asked = await read_body(request, WithdrawalRequest)
    command = Withdrawal(
        address=parse_address(asked.address),
        purposes=None if asked.purposes is None else tuple(Purpose(purpose) for purpose in asked.purposes),
        api_key_id=request.state.api_key.api_key_id,
    )
    receipt = await withdraw_address(request.app.state.ctx, command)
    return JSONResponse(
        {
            "withdrawn": receipt.withdrawn if receipt else (),
            "deleted": {
                "opens": receipt.opens if receipt else 0,
                "pixels": receipt.pixels if receipt else 0,
                "waiting_mails": receipt.mails if receipt else 0,
            },
        }
    )
