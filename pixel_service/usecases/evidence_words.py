"""What the proof calls states, acts, ways and fields; msgids of `locales/*/evidence.po`."""

from collections.abc import Mapping

from pixel_service.domain.consent import Act, State

STATES: Mapping[State, str] = {
    State.UNKNOWN: "nothing is on record",
    State.REQUESTED: "asked for, not confirmed",
    State.GIVEN: "consent stands",
    State.RENEWED: "consent stands, renewed",
    State.REFUSED: "refused",
    State.WITHDRAWN: "withdrawn",
    State.EXPIRED: "expired",
    State.RESTRICTED: "kept and not used, at the person's wish",
    State.OBJECTED: "the person objected",
    State.ERASED: "erased at the person's wish",
}
ACTS: Mapping[Act, str] = {
    Act.REQUESTED: "A form was sent with this choice ticked",
    Act.CONFIRMATION_SENT: "The mail relay accepted the confirmation mail",
    Act.CONFIRMED: "The person confirmed",
    Act.RENEWED: "The person confirmed once more",
    Act.REFUSED: "The person left this choice unticked and confirmed the rest",
    Act.WITHDRAWN: "Consent was withdrawn",
    Act.EXPIRED: "The request or the consent lapsed",
    Act.RESTRICTED: "The person restricted the use of their data",
    Act.LIFTED: "The restriction was lifted",
    Act.OBJECTED: "The person objected to direct marketing",
    Act.ERASED: "The person's data was erased",
    Act.IMPORTED: "The consent was imported with its evidence",
}
WAYS: Mapping[str, str] = {
    "confirm_page": "by pressing the button on the page behind the link in the confirmation mail",
    "one_click": "by the unsubscribe button of a mail program (RFC 8058)",
    "unsubscribe_page": "on the unsubscribe page, reached by a link in a mail",
    "stop_tracking_page": "on the page that stops the measuring, reached by a link in a mail",
    "preferences_page": "on the preference page, reached by a link in a mail",
    "mail": "by e-mail",
    "operator": "by e-mail, letter or telephone, carried out by a colleague",
    "api": "to another program of the sender, which passed it on",
    "privacy_page": "on the person's own page of rights, reached by a link in a mail",
    "restore": "before a backup was restored; carried out anew after it",
    "import": "by the import of a list with evidence for each person",
}
FIELDS: Mapping[str, str] = {
    "address": "E-mail address",
    "salutation": "Salutation",
    "first_name": "First name",
    "last_name": "Last name",
    "company": "Company",
    "phone": "Phone",
    "function": "Role",
    "interests": "Interests",
}
#: Whether the seal opens.
SEALED: Mapping[bool, str] = {
    True: "The person had their data erased. Only this proof was kept, sealed, and opened for the reason above.",
    False: "The person had their data erased. The sealed proof does not open: it was altered, or its secret key is not in "
    "the settings any more. Only the hashes of the ledger can be shown.",
}
