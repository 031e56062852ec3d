"""One of our own mails, read back from its bytes for whoever did not get it: its headers and its texts."""

from email.parser import BytesParser
from email.policy import default as modern


def read_back(data: bytes) -> tuple[tuple[tuple[str, str], ...], str]:
    """Headers in their order, decoded, and the plain text with plain line ends."""
    mail = BytesParser(policy=modern).parsebytes(data)
    plain = mail.get_body(("plain",))
    text = str(plain.get_content()) if plain is not None else ""
    return tuple((name, str(value)) for name, value in mail.items()), text.replace("\r\n", "\n").strip()


def all_texts(data: bytes) -> tuple[str, ...]:
    """Every part that is text, HTML too, decoded."""
    parts = BytesParser(policy=modern).parsebytes(data).walk()
    return tuple(str(part.get_content()) for part in parts if part.get_content_maintype() == "text")
