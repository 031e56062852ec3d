"""The sample catalogue keeps what the requirements say about texts; a broken one names every mistake at once."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from pixel_service.app import catalogue_of, terms_of
from pixel_service.catalogue import CatalogueInvalid, load_catalogue, packaged_catalogue
from pixel_service.domain.consent import TRACKING_OPENS, newsletter, whitepaper
from pixel_service.domain.notice import Terms
from pixel_service.domain.wordings import Catalogue, Wording
from pixel_service.settings import Settings
from tests.builders import settings
from tests.company import nordlicht, terms

VERSION = "2026-11"
BLOG_DE = f"wordings/newsletter.blog/{VERSION}.de.txt"


@pytest.fixture(scope="module")
def sample() -> Catalogue:
    return load_catalogue(packaged_catalogue(), nordlicht(), terms())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(packaged_catalogue(), tmp_path / "catalogue"))


def problems(folder: Path) -> tuple[str, ...]:
    with pytest.raises(CatalogueInvalid) as caught:
        load_catalogue(folder, nordlicht(), terms())
    return caught.value.problems


# --- the sample ---------------------------------------------------------------------------------------------


def _texts(catalogue: Catalogue) -> list[Wording]:
    assert len(catalogue.wordings) == 6
    return list(catalogue.wordings.values())


def test_every_wording_names_the_company_the_channel_and_how_to_withdraw(sample: Catalogue) -> None:
    company = nordlicht()
    withdraw = {"de": r"widerrufen|Widerruf|zurückziehen", "en": r"withdraw"}
    for wording in _texts(sample):
        assert company.name in wording.text, wording
        assert "E-Mail" in wording.text or "e-mail" in wording.text, wording
        assert re.search(withdraw[wording.language], wording.text), wording
        assert re.search(r"[Ll]ink", wording.text), wording
        assert company.privacy_email in wording.text, wording


def test_every_wording_is_short_enough_for_a_phone(sample: Catalogue) -> None:
    assert {(w.purpose, w.language): n for w in _texts(sample) if (n := len(w.text.split())) > 70} == {}
    assert {w.summary for w in _texts(sample) if len(w.summary) > 100} == set()


def test_the_newsletter_wording_names_its_topics(sample: Catalogue) -> None:
    for language, words in {
        "de": ("Glasfaser", "IT-Sicherheit", "Angebote"),
        "en": ("fibre", "security", "offers"),
    }.items():
        text = sample.current(newsletter("blog"), language).text
        assert [word for word in words if word not in text] == []


def test_the_tracking_wording_says_what_the_pixel_records(sample: Catalogue) -> None:
    said = {
        "de": (
            "Zählpixel",
            "Zeitpunkt",
            "Art des Mailprogramms",
            "keine IP-Adresse",
            "sechs Monate",
            "solange ich einwillige",
        ),
        "en": (
            "tracking pixel",
            "time of loading",
            "kind of mail program",
            "no IP address",
            "six months",
            "while I consent",
        ),
    }
    for language, words in said.items():
        text = sample.current(TRACKING_OPENS, language).text
        assert [word for word in words if word not in text] == []


def test_the_whitepaper_wording_promises_no_advertising(sample: Catalogue) -> None:
    assert "Werbung erhalte ich dadurch nicht" in sample.current(whitepaper("glasfaser"), "de").text
    assert "no advertising" in sample.current(whitepaper("glasfaser"), "en").text


def test_the_notice_names_every_duty_in_both_languages(sample: Catalogue) -> None:
    company = nordlicht()
    for language in ("de", "en"):
        text = sample.notice(language).text
        for fact in (company.name, company.address, company.data_protection_officer, company.supervisory_authority):
            assert fact in text
        assert all(f"Art. {article}" in text for article in (15, 16, 17, 18, 20, 21, 77))
        assert "TDDDG" in text
        assert "{" not in text
    headings = [re.findall(r"(?m)^#+", sample.notice(language).text) for language in ("de", "en")]
    assert headings[0] == headings[1]


def test_the_notice_uses_headings_paragraphs_and_lists_only(sample: Catalogue) -> None:
    for notice in sample.notices.values():
        for paragraph in notice.text.split("\n\n"):
            lines = paragraph.split("\n")
            assert re.match(r"#{1,3} \S|[^#*\->|`\d]", paragraph) or all(line.startswith("- ") for line in lines)
            assert len(lines) == 1 or paragraph.startswith("- "), paragraph


def test_the_whitepapers_are_small_real_pdfs_in_both_languages(sample: Catalogue) -> None:
    files = sample.whitepapers["glasfaser"].files
    assert set(files) == {"de", "en"}
    for content in files.values():
        assert content.startswith(b"%PDF-")
        assert b"%%EOF" in content[-32:]
        assert len(content) < 60_000
    assert files[sample.language("de")] != files[sample.language("en")]


def test_the_sample_logo_is_a_small_image() -> None:
    path = packaged_catalogue() / "logo.png"
    assert path.stat().st_size < 20_000
    with Image.open(path) as logo:
        assert (logo.format, logo.size) == ("PNG", (520, 160))


# --- loading ------------------------------------------------------------------------------------------------


def test_the_highest_version_is_current_and_older_ones_stay(folder: Path) -> None:
    for language in ("de", "en"):
        (folder / f"wordings/newsletter.blog/2027-01.{language}.txt").write_text("Neu.", encoding="utf-8")
    catalogue = load_catalogue(folder, nordlicht(), terms())
    assert catalogue.current(newsletter("blog"), "de").text == "Neu."
    assert catalogue.is_current(newsletter("blog"), "2027-01")
    assert not catalogue.is_current(newsletter("blog"), VERSION)
    old = catalogue.wording(newsletter("blog"), VERSION, "de")
    assert old is not None
    assert "Netzwerk-Blog" in old.text


def test_a_changed_text_or_company_changes_the_hash(folder: Path, sample: Catalogue) -> None:
    path = folder / BLOG_DE
    path.write_text(path.read_text(encoding="utf-8").replace("zweimal", "dreimal"), encoding="utf-8")
    changed = load_catalogue(folder, nordlicht(), terms())
    renamed = load_catalogue(packaged_catalogue(), nordlicht(name="Südwind AG"), terms())
    hashes = {c.current(newsletter("blog"), "de").hash for c in (sample, changed, renamed)}
    assert len(hashes) == 3
    assert changed.current(newsletter("blog"), "en").hash == sample.current(newsletter("blog"), "en").hash


def test_the_wording_of_a_retired_offer_stays_as_evidence_but_is_not_current(folder: Path) -> None:
    shutil.copytree(folder / "wordings/newsletter.blog", folder / "wordings/newsletter.retired")
    catalogue = load_catalogue(folder, nordlicht(), terms())
    assert catalogue.wording(newsletter("retired"), VERSION, "de") is not None
    assert not catalogue.is_current(newsletter("retired"), VERSION)


def test_a_third_language_needs_only_files(folder: Path) -> None:
    for name in ("catalogue.toml", "processors.toml"):
        listing = (folder / name).read_text(encoding="utf-8")
        listing = listing.replace('languages = ["de", "en"]', 'languages = ["de", "en", "fr"]')
        listing = re.sub(r"(?m)^en = (.*)$", r"en = \1\nfr = \1", listing)
        (folder / name).write_text(listing, encoding="utf-8")
    for path in [*folder.rglob("*.en.txt"), *folder.rglob("*.en.md")]:
        shutil.copy(path, path.with_name(path.name.replace(".en.", ".fr.")))
    catalogue = load_catalogue(folder, nordlicht(), terms())
    assert catalogue.current(TRACKING_OPENS, "fr").language == "fr"


def test_dot_files_are_left_alone(folder: Path) -> None:
    (folder / "wordings/.DS_Store").write_bytes(b"\0")
    (folder / "wordings/newsletter.blog/.swp").write_bytes(b"\0")
    load_catalogue(folder, nordlicht(), terms())


# --- the notice ---------------------------------------------------------------------------------------------


def _version(**changes: str) -> str:
    return catalogue_of(settings(**changes)).notice_version


@pytest.mark.parametrize(
    "name, value",
    [
        ("confirm_within_days", "3"),
        ("download_within_days", "3"),
        ("ask_again_after_days", "3"),
        ("recording_window_days", "3"),
        ("keep_opens_days", "3"),
        ("keep_delivery_days", "3"),
        ("keep_unused_consent_days", "3"),
        ("keep_evidence_years", "9"),
        ("keep_strangers_days", "3"),
        ("keep_audit_days", "3"),
        ("keep_webhooks_days", "3"),
        ("erase_unconfirmed_after_days", "13"),
        ("unsubscribe_address", "enough@news.example"),
        ("data_locations", "CH"),
        ("company_phone", "+49 40 999"),
        ("company_data_protection_officer", "Dr. Neu"),
        ("company_supervisory_authority", "Eine andere"),
    ],
)
def test_a_setting_that_the_notice_tells_makes_a_new_version(name: str, value: str) -> None:
    changed = catalogue_of(settings(**{name: value}))
    assert changed.notice_version != _version()
    assert changed.notice_version.startswith(f"{VERSION}-")
    for language in changed.languages:
        assert re.search(rf"(?<!\w){re.escape(value)}\b", changed.notice(language).text)


def test_every_period_that_is_told_is_the_one_of_its_setting() -> None:
    assert terms_of(settings()) == terms()


def test_no_retention_period_can_be_set_without_being_told() -> None:
    periods = {name.rpartition("_")[0] for name in Settings.model_fields if name.startswith("keep_")}
    assert periods
    assert periods - set(Terms.__slots__) == set()


def test_a_setting_that_the_notice_does_not_tell_leaves_its_version() -> None:
    assert _version() == _version(company_brand_colour="#123456", smtp_host="mail.example", log_level="debug")


def test_changed_prose_in_one_language_is_a_new_version_of_both(folder: Path, sample: Catalogue) -> None:
    path = folder / f"notice/{VERSION}.en.md"
    path.write_text(path.read_text(encoding="utf-8").replace("voluntary", "free"), encoding="utf-8")
    changed = load_catalogue(folder, nordlicht(), terms())
    assert changed.notice_version != sample.notice_version
    assert {version for version, _ in changed.notices} == {changed.notice_version}
    assert changed.notice("de").hash == sample.notice("de").hash


def test_a_processor_more_is_a_new_version(folder: Path, sample: Catalogue) -> None:
    with (folder / "processors.toml").open("a", encoding="utf-8") as file:
        file.write('[[processor]]\nname = "Dritte GmbH"\nrole = {de = "A", en = "B"}\ncountry = {de = "C", en = "D"}\n')
    changed = load_catalogue(folder, nordlicht(), terms())
    assert changed.notice_version != sample.notice_version
    assert "- **Dritte GmbH:** B; D" in changed.notice("en").text


def test_older_prose_stays_in_its_folder_and_is_not_filled_with_facts_of_today(folder: Path) -> None:
    (folder / "notice/2020-01.de.md").write_text("# Alt\n\n{no_longer_known}", encoding="utf-8")
    assert len(load_catalogue(folder, nordlicht(), terms()).notices) == 2


def test_a_catalogue_may_name_no_processors(folder: Path) -> None:
    (folder / "processors.toml").write_text("# none\n", encoding="utf-8")
    catalogue = load_catalogue(folder, nordlicht(), terms())
    assert catalogue.processors == ()
    assert "None: we run servers and e-mail ourselves." in catalogue.notice("en").text


# --- mistakes -----------------------------------------------------------------------------------------------


def test_all_mistakes_are_reported_at_once(folder: Path) -> None:
    (folder / BLOG_DE).unlink()
    (folder / "whitepapers/glasfaser.en.pdf").write_bytes(b"<html>")
    (folder / "notice/readme.md").write_text("x", encoding="utf-8")
    (folder / f"wordings/tracking.opens/{VERSION}.en.txt").write_text("Hello {first_name}", encoding="utf-8")
    found = "\n".join(problems(folder))
    assert f"{BLOG_DE}: missing" in found
    assert "whitepapers/glasfaser.en.pdf: is not a PDF" in found
    assert "notice/readme.md: expected a name like 2026-11.de.md" in found
    assert f"wordings/tracking.opens/{VERSION}.en.txt: {{first_name}}: unknown placeholder" in found
    assert len(found.splitlines()) == 4


def test_the_message_names_every_problem(folder: Path) -> None:
    (folder / BLOG_DE).unlink()
    (folder / "whitepapers/glasfaser.en.pdf").unlink()
    with pytest.raises(CatalogueInvalid, match=r"newsletter\.blog") as caught:
        load_catalogue(folder, nordlicht(), terms())
    assert len(str(caught.value).splitlines()) == 2
    assert "glasfaser.en.pdf" in str(caught.value)


def _listing(change: Callable[[str], str]) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        path = folder / "catalogue.toml"
        before = path.read_text(encoding="utf-8")
        after = change(before)
        assert after != before
        path.write_text(after, encoding="utf-8")

    return edit


def _file(name: str, content: bytes) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        (folder / name).write_bytes(content)

    return write


BREAKAGES = {
    "no TOML": (_listing(lambda text: text + "\n[["), "catalogue.toml: "),
    "a wrong slug": (
        _listing(lambda t: t.replace('slug = "blog"', 'slug = "Blog!"')),
        "catalogue.toml: newsletter[0].slug: ",
    ),
    "an unknown field": (_listing(lambda t: 'colour = "red"\n' + t), "catalogue.toml: colour: "),
    "a language missing": (
        _listing(lambda t: t.replace('en = "Network Blog"\n', "")),
        "catalogue.toml: newsletter[0].title.en: missing",
    ),
    "a language too many": (
        _listing(lambda t: t.replace('en = "Network Blog"', 'en = "Network Blog"\nfr = "Le blog"')),
        "catalogue.toml: newsletter[0].title.fr: not one of `languages`",
    ),
    "a slug twice": (
        _listing(lambda t: t + t[t.index("[[whitepaper]]") :]),
        "catalogue.toml: whitepaper: slug 'glasfaser' is used twice",
    ),
    "an unknown newsletter beside": (
        _listing(lambda t: t.replace('newsletter = "blog"', 'newsletter = "log"')),
        "catalogue.toml: whitepaper[0].newsletter: no newsletter 'log'",
    ),
    "a file elsewhere": (
        _listing(lambda t: t.replace("whitepapers/glasfaser.de.pdf", "../../secret.pdf")),
        "../../secret.pdf: is outside the catalogue folder",
    ),
    "no PDF there": (
        _listing(lambda t: t.replace("whitepapers/glasfaser.de.pdf", "whitepapers/no.pdf")),
        "whitepapers/no.pdf: No such file or directory",
    ),
    "a PDF too large": (
        _file("whitepapers/glasfaser.de.pdf", b"%PDF-" + bytes(10 * 1024 * 1024)),
        "whitepapers/glasfaser.de.pdf: is larger than 10485760 bytes",
    ),
    "an empty wording": (_file(BLOG_DE, b" \n"), f"{BLOG_DE}: is empty"),
    "no UTF-8": (_file(BLOG_DE, b"gr\xfc\xdfe"), f"{BLOG_DE}: is not UTF-8 text"),
    "a text too long": (_file(BLOG_DE, b"x" * 65_537), f"{BLOG_DE}: is larger than 65536 bytes"),
    "a strange folder": (
        lambda folder: (folder / "wordings/blog").mkdir(),
        "wordings/blog: expected a folder newsletter.<slug>, whitepaper.<slug> or tracking.opens",
    ),
    "no wordings": (lambda folder: shutil.rmtree(folder / "wordings"), "wordings: No such file or directory"),
    "no notice": (lambda folder: shutil.rmtree(folder / "notice"), "notice/<version>.de.md: missing"),
    "a block of facts left out": (
        _file(
            f"notice/{VERSION}.de.md", b"# Hinweise\n\n{controller}\n\n{processors}\n\nSiehe {stored_data}\n\n{rights}"
        ),
        f"notice/{VERSION}.de.md: {{stored_data}}: missing; it must be a paragraph of its own",
    ),
    "no processors": (
        lambda folder: (folder / "processors.toml").unlink(),
        "processors.toml: No such file or directory",
    ),
    "a processor without country": (
        _file("processors.toml", b'[[processor]]\nname = "A"\nrole = {de = "B", en = "C"}\n'),
        "processors.toml: processor[0].country: Field required",
    ),
    "a processor in one language": (
        _file("processors.toml", b'[[processor]]\nname = "A"\nrole = {de = "B"}\ncountry = {de = "B", en = "C"}\n'),
        "processors.toml: processor[0].role.en: missing",
    ),
    "a safeguard in one language": (
        _file(
            "processors.toml",
            b'[[processor]]\nname = "A"\nrole = {de = "B", en = "C"}\ncountry = {de = "B", en = "C"}\n'
            b'safeguard = {en = "D"}\n',
        ),
        "processors.toml: processor[0].safeguard.de: missing",
    ),
    "no listing": (lambda folder: (folder / "catalogue.toml").unlink(), "catalogue.toml: No such file or directory"),
}


@pytest.mark.parametrize("breakage", BREAKAGES)
def test_a_mistake_is_named_by_file_and_field(folder: Path, breakage: str) -> None:
    spoil, expected = BREAKAGES[breakage]
    spoil(folder)
    assert [problem for problem in problems(folder) if problem.startswith(expected)], problems(folder)


@pytest.mark.parametrize("name", ["supervisory_authority", "privacy_email"])
def test_a_notice_needs_whom_to_ask_and_where_to_complain(name: str) -> None:
    with pytest.raises(CatalogueInvalid) as caught:
        load_catalogue(packaged_catalogue(), nordlicht(**{name: ""}), terms())
    expected = f"{{{name}}}: this company setting is empty"
    assert {f"notice/{VERSION}.{language}.md: {expected}" for language in ("de", "en")} <= set(caught.value.problems)


def test_a_placeholder_for_an_empty_company_setting_is_a_mistake(folder: Path) -> None:
    path = folder / f"notice/{VERSION}.de.md"
    path.write_text(path.read_text(encoding="utf-8") + "\n\n{vat_id}", encoding="utf-8")
    with pytest.raises(CatalogueInvalid) as caught:
        load_catalogue(folder, nordlicht(vat_id=""), terms())
    assert caught.value.problems == (f"notice/{VERSION}.de.md: {{vat_id}}: this company setting is empty",)


def test_a_newer_version_in_one_language_only_is_a_mistake(folder: Path) -> None:
    (folder / "wordings/newsletter.blog/2027-01.de.txt").write_text("Neu.", encoding="utf-8")
    assert problems(folder) == ("wordings/newsletter.blog/2027-01.en.txt: missing",)
