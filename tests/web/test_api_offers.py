"""`GET /v1/offers/{kind}/{slug}`: everything a form of one's own has to show."""

import pytest

from pixel_service.storage.engine import Database
from tests.builders import BASE_URL, BLOG, GLASFASER, OPENS, context, dump, web
from tests.web.test_api_sign_ups import SHOP, site


async def test_an_offer_tells_its_texts_in_the_language_asked_for(db: Database) -> None:
    ctx = context(db)
    async with web(ctx) as visitor:
        answer = await visitor.get("/v1/offers/newsletter/blog?lang=en")
    assert answer.status_code == 200
    told = answer.json()
    assert (told["kind"], told["slug"], told["language"], told["languages"]) == (
        "newsletter",
        "blog",
        "en",
        ["de", "en"],
    )
    assert told["title"] == "Network Blog"
    assert told["description"].startswith("Twice a month")
    assert [choice["purpose"] for choice in told["choices"]] == [BLOG, OPENS]
    for choice in told["choices"]:
        wording = ctx.catalogue.current(choice["purpose"], "en")
        assert (choice["text"], choice["version"]) == (wording.text, wording.version)
        assert choice["label"] == ctx.catalogue.label(choice["purpose"], "en")
    assert told["notice"] == {"version": ctx.catalogue.notice_version, "url": f"{BASE_URL}/privacy?lang=en"}


async def test_a_whitepaper_offers_its_newsletter_beside_it(db: Database) -> None:
    async with web(context(db)) as visitor:
        told = (await visitor.get("/v1/offers/whitepaper/glasfaser", headers={"Accept-Language": "en"})).json()
        assert [choice["purpose"] for choice in told["choices"]] == [GLASFASER, BLOG, OPENS]
        assert told["language"] == "en"
        assert (await visitor.get("/v1/offers/whitepaper/glasfaser")).json()["language"] == "de"


@pytest.mark.parametrize("path", ["newsletter/none", "whitepaper/blog", "tracking/opens", "x/y"])
async def test_what_is_not_offered_is_not_found(db: Database, path: str) -> None:
    async with web(context(db)) as visitor:
        answer = await visitor.get(f"/v1/offers/{path}")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


async def test_pages_of_the_allow_list_may_read_it_and_others_may_not(db: Database) -> None:
    ctx = context(db)
    before = await dump(db)
    async with site(ctx, SHOP) as known, site(ctx, "https://evil.example") as stranger:
        for path in ("newsletter/blog", "newsletter/none"):
            allowed = await known.get(f"/v1/offers/{path}")
            assert allowed.headers["access-control-allow-origin"] == SHOP
            refused = await stranger.get(f"/v1/offers/{path}")
            assert "access-control-allow-origin" not in refused.headers
            assert "Origin" in refused.headers["vary"]
    assert await dump(db) == before
