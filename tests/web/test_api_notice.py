"""`GET /v1/notice`: what a site of one's own needs to show the privacy notice and to send its version along."""

import pytest
from httpx import AsyncClient

from pixel_service.usecases.context import Context
from tests.builders import BASE_URL

OWN_FORM = {"Origin": BASE_URL}


@pytest.mark.parametrize("language", ["de", "en"])
async def test_the_notice_comes_whole_and_in_its_parts(visitor: AsyncClient, ctx: Context, language: str) -> None:
    notice = ctx.catalogue.notice(language)
    answer = await visitor.get(f"/v1/notice?lang={language}", headers=OWN_FORM)
    told = answer.json()
    assert (told["version"], told["language"], told["languages"]) == (notice.version, language, ["de", "en"])
    assert (told["text"], told["text_hash"]) == (notice.text, notice.hash)
    assert told["controller"]["supervisory_authority"] == ctx.company.supervisory_authority
    assert [(fact["name"], fact["kept"]) for fact in told["stored"]] == [(one.name, one.kept) for one in notice.stored]
    assert [one["name"] for one in told["processors"]] == [one.name for one in ctx.catalogue.processors]
    assert all(set(one) == {"name", "role", "country", "safeguard"} for one in told["processors"])
    assert answer.headers["access-control-allow-origin"] == BASE_URL
    assert (await visitor.get(told["url"])).status_code == 200
