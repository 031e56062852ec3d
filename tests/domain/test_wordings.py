import hashlib

import pytest

from pixel_service.catalogue import load_catalogue, packaged_catalogue
from pixel_service.domain.consent import SERVICE, TRACKING_OPENS, Purpose, newsletter, whitepaper
from pixel_service.domain.errors import NotFound
from pixel_service.domain.wordings import Catalogue, Language, Wording, contrast, text_hash
from tests.company import nordlicht, terms

DE = Language("de")
BLOG = newsletter("blog")


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load_catalogue(packaged_catalogue(), nordlicht(), terms())


def test_the_hash_is_the_sha256_of_the_exact_utf8_text() -> None:
    assert text_hash("Größe") == hashlib.sha256("Größe".encode()).hexdigest()


@pytest.mark.parametrize("changed", ["Ja, gern!", "ja, gern.", "Ja,  gern.", "Ja, gern", ""])
def test_a_changed_text_has_another_hash(changed: str) -> None:
    assert text_hash(changed) != text_hash("Ja, gern.")


@pytest.mark.parametrize("same", ["Gro\u0308ße\nja", "Größe\r\nja", "\nGröße\nja \n"])
def test_the_same_text_in_another_encoding_has_the_same_hash(same: str) -> None:
    assert text_hash(same) == text_hash("Größe\nja")


def test_the_first_paragraph_is_the_summary() -> None:
    wording = Wording(purpose=BLOG, version="2026-11", language=DE, text="Kurz.\n\nLang.\n\nLänger.", hash="")
    assert wording.summary == "Kurz."
    assert wording.details == ("Lang.", "Länger.")


def test_a_wording_of_one_paragraph_is_all_summary() -> None:
    wording = Wording(purpose=BLOG, version="2026-11", language=DE, text="Kurz.", hash="")
    assert (wording.summary, wording.details) == ("Kurz.", ())


def test_the_current_wording_is_found_again_by_its_version(catalogue: Catalogue) -> None:
    current = catalogue.current(BLOG, "de")
    assert catalogue.wording(BLOG, current.version, "de") is current
    assert catalogue.is_current(BLOG, current.version)


def test_unknown_versions_purposes_and_languages_are_no_wording(catalogue: Catalogue) -> None:
    version = catalogue.current(BLOG, "de").version
    assert catalogue.wording(BLOG, "1999-01", "de") is None
    assert catalogue.wording(newsletter("other"), version, "de") is None
    assert catalogue.wording(BLOG, version, "xx") is None
    assert not catalogue.is_current(BLOG, "1999-01")
    assert not catalogue.is_current(newsletter("other"), version)


@pytest.mark.parametrize("purpose", [SERVICE, newsletter("other"), Purpose("")])
def test_a_purpose_that_is_not_offered_has_no_current_wording(catalogue: Catalogue, purpose: Purpose) -> None:
    with pytest.raises(NotFound):
        catalogue.current(purpose, "de")


def test_a_language_without_texts_gets_the_first_one(catalogue: Catalogue) -> None:
    assert catalogue.current(BLOG, "fr") == catalogue.current(BLOG, "de")
    assert catalogue.notice("fr") == catalogue.notice("de")
    assert catalogue.language("en") == "en"


def test_offers_are_found_by_kind_and_slug(catalogue: Catalogue) -> None:
    assert [offer.slug for offer in catalogue.offers] == ["blog", "glasfaser"]
    assert catalogue.offer("newsletter", "blog") is catalogue.newsletters["blog"]
    assert catalogue.offer("newsletter", "glasfaser") is None
    assert catalogue.offer("tracking", "opens") is None


def test_every_form_asks_its_offer_and_tracking_as_separate_choices(catalogue: Catalogue) -> None:
    assert catalogue.choices(catalogue.newsletters["blog"]) == (BLOG, TRACKING_OPENS)
    paper = catalogue.whitepapers["glasfaser"]
    assert catalogue.choices(paper) == (whitepaper("glasfaser"), BLOG, TRACKING_OPENS)


def test_labels_are_titles_and_a_retired_offer_keeps_its_technical_name(catalogue: Catalogue) -> None:
    assert catalogue.label(BLOG, "de") == "Netzwerk-Blog"
    assert catalogue.label(whitepaper("glasfaser"), "en") == "Business fibre"
    assert catalogue.label(TRACKING_OPENS, "en") == "Measuring newsletter opens"
    assert catalogue.label(newsletter("gone"), "de") == "newsletter:gone"


def test_every_published_text_is_listed_with_its_hash(catalogue: Catalogue) -> None:
    published = catalogue.published_texts()
    current = catalogue.current(TRACKING_OPENS, "en")
    assert published[f"tracking:opens/{current.version}/en"] == current.hash
    assert published[f"notice/{catalogue.notice_version}/de"] == catalogue.notice("de").hash
    assert len(published) == len(catalogue.wordings) + len(catalogue.notices)


def test_contrast_is_the_ratio_of_the_web_guidelines() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
    assert contrast("#0b5fa5", "#0b5fa5") == 1


@pytest.mark.parametrize("brand", ["#0b5fa5", "#ffd400", "#000000", "#ffffff", "#777777", "#e30613"])
def test_text_is_readable_on_and_in_any_brand_colour(brand: str) -> None:
    company = nordlicht(brand_colour=brand)
    assert contrast(company.ink_colour, brand) >= 4.4
    assert contrast(company.link_colour, "#ffffff") >= 4.5


def test_the_address_is_one_line() -> None:
    assert nordlicht().address == "Speicherstraße 12, 20457 Hamburg, Deutschland"
