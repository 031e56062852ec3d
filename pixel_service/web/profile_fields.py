"""The optional fields of the sign-up form as a page shows them, and what to say about an entry that breaks a rule.

The rules themselves are in `domain/signup.py` and `domain/address.py`; their words are for programs, these are for people.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from pixel_service.domain.errors import InvalidInput
from pixel_service.domain.signup import FIELD_LIMITS

#: A msgid -> its text in the language of the page.
Say = Callable[[str], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileField:
    """One input as `sign_up.html.j2` draws it; with `options`, a list to choose from."""

    name: str
    label: str
    autocomplete: str
    maxlength: int
    type: str = "text"
    options: tuple[tuple[str, str], ...] = ()


#: name, label (msgid), autocomplete token (WCAG 1.3.5)
_FIELDS = (
    ("salutation", "Salutation", "honorific-prefix"),
    ("first_name", "First name", "given-name"),
    ("last_name", "Last name", "family-name"),
    ("company", "Company", "organization"),
    ("phone", "Phone", "tel"),
    ("function", "Role", "organization-title"),
    ("interests", "Interests", "off"),
)
_SALUTATIONS = (("", "Not specified"), ("ms", "Ms"), ("mr", "Mr"))


def profile_fields(say: Say) -> tuple[ProfileField, ...]:
    return tuple(
        ProfileField(
            name=name,
            label=say(label),
            autocomplete=autocomplete,
            maxlength=FIELD_LIMITS[name],
            type="tel" if name == "phone" else "text",
            options=tuple((code, say(text)) for code, text in _SALUTATIONS) if name == "salutation" else (),
        )
        for name, label, autocomplete in _FIELDS
    )


#: The domain's words, with ``#`` for a number -> ours (msgid).
_SAID: Mapping[str, str] = {
    "an e-mail address is required": "Please enter your e-mail address.",
    "an e-mail address has at most # characters": "This e-mail address is too long.",
    "this is not a valid e-mail address": "Please enter a complete e-mail address, such as name@company.com.",
    "the domain of this address takes no mail": (
        "No mail can arrive at this address. Please check the part after the @."
    ),
    "this address is on record already": "This is the address that we write to already.",
    "choose at least one": "Please choose at least one.",
    "choose a newsletter or a whitepaper; open tracking alone has nothing to measure": (
        "Please choose a newsletter or a whitepaper as well: on its own there is nothing to measure."
    ),
    "at most # characters": "Please use at most %(number)s characters.",
    "one of: ms, mr, or empty": "Please choose one from the list.",
    "line breaks and control characters are not allowed": "Please write it on one line.",
}
#: For words we do not know yet.
OTHERWISE = "Please check this entry."


def errors_of(problems: Iterable[InvalidInput], say: Say) -> dict[str, str]:
    """Field -> what to do about it, in the order of the form; an optional field is named, since it may be out of sight."""
    labels = {name: say(label) for name, label, _ in _FIELDS}
    errors = {}
    for problem in problems:
        text = _say_one(problem.detail, say)
        label = labels.get(problem.field)
        errors[problem.field] = f"{label}: {text}" if label else text
    return errors


def _say_one(detail: str, say: Say) -> str:
    number = re.search(r"\d+", detail)
    known = _SAID.get(re.sub(r"\d+", "#", detail), OTHERWISE)
    return say(known).replace("%(number)s", number[0] if number else "")
