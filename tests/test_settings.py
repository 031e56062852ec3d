"""Settings: everything from the environment, all mistakes at once, secrets never shown."""

from ipaddress import IPv4Network, IPv6Network

import pytest

from pixel_service.settings import SettingsInvalid, load_settings
from tests.journeys.service import SECRET, environment


def given(**changes: str) -> dict[str, str]:
    """A full environment, with these settings changed."""
    full = environment("sqlite:///pixel.db", port=8000, smtp_port=25)
    return full | {f"PIXEL_{name.upper()}": value for name, value in changes.items()}


def problems(variables: dict[str, str]) -> list[str]:
    with pytest.raises(SettingsInvalid) as invalid:
        load_settings(variables)
    return invalid.value.problems


def test_what_an_operator_must_give_is_enough() -> None:
    settings = load_settings(given())
    assert settings.base_url == "http://127.0.0.1:8000"
    assert settings.keys == (SECRET.encode(),)
    assert settings.zone.key == "Europe/Berlin"


def test_all_missing_settings_are_named_at_once() -> None:
    missing = problems({})
    assert len(missing) >= 15
    assert "PIXEL_BASE_URL: missing" in missing
    assert "PIXEL_COMPANY_NAME: missing" in missing


def test_an_unknown_name_is_refused_beside_a_bad_value() -> None:
    found = problems(given(smtp_prot="25", timezone="Mars/Olympus"))
    assert "PIXEL_SMTP_PROT: no such setting" in found
    assert any(line.startswith("PIXEL_TIMEZONE: not a time zone") for line in found)


def test_names_without_the_prefix_and_names_read_elsewhere_are_not_ours_to_judge() -> None:
    load_settings(given() | {"HOME": "/root", "PIXEL_API_KEY": "x", "PIXEL_TEST_REQUIRE": "all"})


@pytest.mark.parametrize(
    "name, value",
    [
        ("base_url", "my-host.test"),
        ("base_url", "ftp://pixel.example"),
        ("base_url", "https://pixel.example?x=1"),
        ("secret_keys", "short"),
        ("secret_keys", ""),
        ("database_url", "mysql://x/y"),
        ("listen_port", "70000"),
        ("trusted_proxies", "everybody"),
        ("trusted_proxies", "192.0.2.7/24"),
        ("from_address", "nobody"),
        ("company_brand_colour", "blue"),
        ("confirm_within_days", "15"),
        ("smtp_security", "ssl"),
        ("form_origins", "https://ok.example, nonsense"),
    ],
)
def test_a_bad_value_is_named_and_not_repeated(name: str, value: str) -> None:
    (line,) = problems(given(**{name: value}))
    assert line.startswith(f"PIXEL_{name.upper()}: ")
    assert not value or value not in line.removeprefix(f"PIXEL_{name.upper()}: ")


def test_lists_are_separated_by_commas_or_blanks() -> None:
    settings = load_settings(
        given(
            secret_keys=f"{SECRET}-new,{SECRET}",
            form_origins="https://a.example https://b.example/",
            trusted_proxies="192.0.2.1, 2001:db8::/32",
        )
    )
    assert settings.keys == (f"{SECRET}-new".encode(), SECRET.encode())
    assert settings.form_origins == ("https://a.example", "https://b.example")
    assert settings.trusted_proxies == (IPv4Network("192.0.2.1/32"), IPv6Network("2001:db8::/32"))


def test_secrets_do_not_print() -> None:
    settings = load_settings(given(smtp_password="hunter22", database_url="postgresql://me:hunter22@host/name"))
    assert "hunter22" not in repr(settings)
    assert SECRET not in repr(settings)


LEASE_TOO_SHORT = "PIXEL_LEASE_SECONDS: at least four times PIXEL_SMTP_TIMEOUT_SECONDS"


@pytest.mark.parametrize(
    "changes",
    [
        {"lease_seconds": "119"},
        {"lease_seconds": "299", "smtp_timeout_seconds": "75"},
        {"smtp_timeout_seconds": "76"},
    ],
    ids=["beside the usual timeout", "beside a long timeout", "the usual lease beside a long timeout"],
)
def test_a_lease_that_a_hand_over_may_outlast_is_refused(changes: dict[str, str]) -> None:
    assert problems(given(**changes)) == [LEASE_TOO_SHORT]


@pytest.mark.parametrize("changes", [{"lease_seconds": "120"}, {"smtp_timeout_seconds": "75"}])
def test_a_lease_of_four_timeouts_is_enough(changes: dict[str, str]) -> None:
    settings = load_settings(given(**changes))
    assert settings.lease_seconds == 4 * settings.smtp_timeout_seconds


def test_a_timeout_that_is_no_number_is_the_only_problem() -> None:
    (line,) = problems(given(lease_seconds="1", smtp_timeout_seconds="soon"))
    assert line.startswith("PIXEL_SMTP_TIMEOUT_SECONDS: ")
