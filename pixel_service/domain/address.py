"""E-mail addresses: checked, normalised, and never written to a log (S4)."""

from dataclasses import dataclass

from email_validator import EmailNotValidError, validate_email

from pixel_service.domain.errors import InvalidInput

#: RFC 5321 4.5.3.1.3: a path is at most 256 octets with its angle brackets.
MAX_LENGTH = 254


@dataclass(frozen=True, slots=True)
class Address:
    """`normalised` is what mail goes to (NFC, domain lower-case Unicode); `key` is what makes two spellings one person.

    Local parts are case-sensitive in RFC 5321 and nowhere in practice: the key is lower-case, the mail is not. The key's
    domain is its A-label (RFC 5890), because folding Unicode would make one of straße.example and strasse.example.
    """

    normalised: str
    key: str

    def __repr__(self) -> str:
        return "Address(...)"

    __str__ = __repr__


def parse_address(typed: str, *, field: str = "address") -> Address:
    """Syntax and IDN only; an MX look-up is I/O. A local part beyond ASCII is refused: most relays can not take it.
    Raises `InvalidInput` without repeating what was typed."""
    typed = typed.strip()
    if not typed:
        raise InvalidInput(field, "an e-mail address is required")
    if len(typed) > MAX_LENGTH:
        raise InvalidInput(field, f"an e-mail address has at most {MAX_LENGTH} characters")
    try:
        valid = validate_email(typed, check_deliverability=False, strict=True, allow_smtputf8=False)
    except EmailNotValidError as error:
        raise InvalidInput(field, "this is not a valid e-mail address") from error
    return Address(valid.normalized, f"{valid.local_part.lower()}@{valid.ascii_domain}")
