"""Settings come from the environment, under one prefix. All mistakes are reported at once; unknown names are refused.

Durations carry their unit in the name. Secrets are `SecretStr`: they never appear in a log or an error.
"""

import os
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, available_timezones

from email_validator import EmailNotValidError, validate_email
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    IPvAnyNetwork,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)

PREFIX = "PIXEL_"
#: Names with our prefix that are read elsewhere: by the send command and by the test run.
READ_ELSEWHERE = frozenset({"PIXEL_API_KEY", "PIXEL_TEST_FULL", "PIXEL_TEST_POSTGRES", "PIXEL_TEST_REQUIRE"})
_MIN_SECRET = 32


class SettingsInvalid(Exception):
    """Every problem found, one line each; no line repeats a value."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def _address(value: str) -> str:
    try:
        return validate_email(value, check_deliverability=False, test_environment=True).normalized
    except EmailNotValidError as error:
        raise ValueError("not a valid e-mail address") from error


def _origin(value: str) -> str:
    parts = urlsplit(value)
    whole = parts.scheme in {"http", "https"} and parts.hostname and "@" not in parts.netloc
    if not whole or parts.query or parts.fragment or not value.isprintable() or " " in value:
        raise ValueError("an address such as https://pixel.example.com is needed")
    return value.rstrip("/")


def _timezone(value: str) -> str:
    if value not in available_timezones():
        raise ValueError("not a time zone, e.g. Europe/Berlin")
    return value


Address = Annotated[str, AfterValidator(_address)]
Days = Annotated[int, Field(ge=1, le=3650)]
Text = Annotated[str, Field(max_length=300)]


class Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    # The service
    base_url: Annotated[str, AfterValidator(_origin)]
    secret_keys: tuple[SecretStr, ...]
    database_url: SecretStr = SecretStr("sqlite:///pixel.db")
    journal_path: Path | None = None
    database_connections: Annotated[int, Field(ge=2, le=100)] = 10
    listen_host: str = "127.0.0.1"
    listen_port: Annotated[int, Field(ge=0, le=65535)] = 8000
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "console"] = "json"
    form_origins: tuple[Annotated[str, AfterValidator(_origin)], ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    trusted_proxies: tuple[IPvAnyNetwork, ...] = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))
    honour_gpc: bool = True
    metrics_token: Annotated[SecretStr, Field(min_length=16)] | None = None
    canary_every_minutes: Annotated[int, Field(ge=0, le=1440)] = 60

    # The mails
    from_name: Text
    from_address: Address
    reply_to: Address | None = None
    unsubscribe_address: Address
    mail_domain: Annotated[str, Field(max_length=253, pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$")]
    smtp_host: str = "127.0.0.1"
    smtp_port: Annotated[int, Field(ge=1, le=65535)] = 25
    smtp_security: Literal["none", "starttls", "tls"] = "starttls"
    smtp_username: str | None = None
    smtp_password: SecretStr | None = None
    smtp_connections: Annotated[int, Field(ge=1, le=100)] = 10
    smtp_timeout_seconds: Annotated[int, Field(ge=1, le=600)] = 30
    smtp_mails_per_minute: Annotated[int, Field(ge=0, le=600_000)] = 0
    lease_seconds: Annotated[int, Field(ge=1, le=86_400, validate_default=True)] = 300
    strip_foreign_pixels: bool = False
    lmtp_host: str = "127.0.0.1"
    lmtp_port: Annotated[int, Field(ge=0, le=65535)] = 0

    # The rules
    check_mx: bool = False
    default_language: str = "de"
    timezone: Annotated[str, AfterValidator(_timezone)] = "Europe/Berlin"
    confirm_within_days: Annotated[int, Field(ge=1, le=14)] = 7
    confirmation_mails_per_day: Annotated[int, Field(ge=1, le=20)] = 3
    confirmation_mails_per_offer: Annotated[int, Field(ge=1, le=20)] = 1
    erase_unconfirmed_after_days: Annotated[int, Field(ge=1, le=14)] = 14
    reminder_after_days: Annotated[int, Field(ge=0, le=13)] = 0
    step_up: bool = True
    step_up_within_seconds: Annotated[int, Field(ge=1, le=3600)] = 120
    download_within_days: Days = 30
    ask_again_after_days: Days = 183
    recording_window_days: Days = 30
    scrub_every_minutes: Annotated[int, Field(ge=1, le=10_080)] = 60
    keep_opens_days: Days = 180
    keep_delivery_days: Days = 180
    keep_unused_consent_days: Days = 730
    keep_evidence_years: Annotated[int, Field(ge=1, le=10)] = 3
    keep_strangers_days: Days = 14
    keep_audit_days: Days = 1095
    keep_webhooks_days: Days = 180
    keep_requests_days: Days = 1095
    keep_journal_days: Days = 90
    data_locations: tuple[Annotated[str, Field(pattern=r"^[A-Z]{2}$")], ...] = ("EU",)

    # The company
    catalogue_dir: Path | None = None
    logo_file: Path | None = None
    company_name: Text
    company_street: Text
    company_postal_code: Text
    company_city: Text
    company_country: Text
    company_managing_directors: Text
    company_register_entry: Text
    company_vat_id: Text = ""
    company_email: Address
    company_phone: Text
    company_privacy_email: Address
    company_data_protection_officer: Text
    company_supervisory_authority: Text
    company_website: Text = ""
    company_brand_colour: Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")] = "#0b5fa5"

    @field_validator("secret_keys", "form_origins", "allowed_hosts", "trusted_proxies", "data_locations", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        """Lists are separated by commas or blanks."""
        return tuple(value.replace(",", " ").split()) if isinstance(value, str) else value

    @field_validator("secret_keys")
    @classmethod
    def _long_enough(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if not value or any(len(key.get_secret_value()) < _MIN_SECRET for key in value):
            raise ValueError(f"at least one key, each of {_MIN_SECRET} characters or more; newest first")
        return value

    @field_validator("erase_unconfirmed_after_days")
    @classmethod
    def _not_before_the_link_ends(cls, value: int, info: ValidationInfo) -> int:
        if value < info.data.get("confirm_within_days", 0):
            raise ValueError("at least as many as PIXEL_CONFIRM_WITHIN_DAYS")
        return value

    @field_validator("database_url")
    @classmethod
    def _supported(cls, value: SecretStr) -> SecretStr:
        if not value.get_secret_value().startswith(("sqlite:///", "postgresql://")):
            raise ValueError("sqlite:///FILE or postgresql://USER@HOST/NAME")
        return value

    @field_validator("lease_seconds")
    @classmethod
    def _outlasts_a_hand_over(cls, value: int, known: ValidationInfo) -> int:
        if value < 4 * known.data.get("smtp_timeout_seconds", 0):
            raise ValueError(f"at least four times {PREFIX}SMTP_TIMEOUT_SECONDS")
        return value

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    @property
    def journal_file(self) -> Path | None:
        """Beside an SQLite file unless told otherwise; a PostgreSQL may have many hosts, so there it must be told."""
        _, sqlite, file = self.database_url.get_secret_value().partition("?")[0].partition("sqlite:///")
        return self.journal_path or (Path(f"{file}.withdrawals") if sqlite and file else None)

    @property
    def keys(self) -> tuple[bytes, ...]:
        return tuple(key.get_secret_value().encode() for key in self.secret_keys)


def load_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """Read and check everything. Raises `SettingsInvalid` with all problems."""
    given = {name: value for name, value in environment.items() if name.upper().startswith(PREFIX)}
    known = {f"{PREFIX}{field}".upper() for field in Settings.model_fields} | READ_ELSEWHERE
    problems = [f"{name}: no such setting" for name in sorted(given) if name.upper() not in known]
    values = {
        name[len(PREFIX) :].lower(): value for name, value in given.items() if name.upper() in known - READ_ELSEWHERE
    }
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        problems += [
            f"{PREFIX}{'.'.join(str(part) for part in one['loc'][:1]).upper()}: {_say(one['type'], one['msg'])}"
            for one in error.errors(include_input=False, include_context=False, include_url=False)
        ]
        raise SettingsInvalid(problems) from None
    if problems:
        raise SettingsInvalid(problems)
    return settings


def _say(kind: str, message: str) -> str:
    return "missing" if kind == "missing" else message.removeprefix("Value error, ")
