"""What codes mean, said to the person whose data it is. The words are msgids of `locales/*/privacy.po`."""

from collections.abc import Mapping

from pixel_service.domain.consent import State
from pixel_service.domain.figures import Standing
from pixel_service.domain.messages import Status, Tracking
from pixel_service.domain.opens import Verdict
from pixel_service.domain.rights import RightsRequestKind

STATES: Mapping[State, str] = {
    State.UNKNOWN: "nothing is on record",
    State.REQUESTED: "asked for in a form, not confirmed by you: we do nothing with it",
    State.GIVEN: "you agreed",
    State.RENEWED: "you agreed, and confirmed it again",
    State.REFUSED: "you refused",
    State.WITHDRAWN: "you ended it",
    State.EXPIRED: "expired",
    State.RESTRICTED: "you agreed; kept and not used, as you wished",
    State.OBJECTED: "you objected",
    State.ERASED: "erased as you wished",
}
VERDICTS: Mapping[Verdict, str] = {
    Verdict.HUMAN_CLIENT: "by a mail program, probably yours",
    Verdict.PROXY_OPEN: "by a mail provider, which fetches images when a mail is opened",
    Verdict.PREFETCH: "by a program that loads images ahead of time, opened or not",
    Verdict.SCANNER: "by a security check of mails, not by a person",
    Verdict.BOT: "by a program, not by a person",
    Verdict.PREVIEW: "by a preview",
    Verdict.UNKNOWN: "by whom, we can not tell",
}
STANDINGS: Mapping[Standing, str] = {
    Standing.HUMAN: "as opened",
    Standing.MPP: "as perhaps opened: Apple Mail loads images of every mail",
    Standing.UNKNOWN: "as perhaps opened: we can not tell who loaded the images",
    Standing.MACHINE: "as not opened: only programs loaded the images",
}
STATUSES: Mapping[Status, str] = {
    Status.QUEUED: "waits to be sent",
    Status.SENT: "sent",
    Status.FAILED: "not delivered",
    Status.CANCELLED: "not sent",
}
MEASURED: Mapping[Tracking, str] = {
    Tracking.NONE: "no",
    Tracking.TRACKED: "yes, as you agreed",
    Tracking.WITHDRAWN: "no longer: its opens were deleted",
    Tracking.RESTRICTED: "kept and not used, as you wished",
}
#: The service's own mails, by template.
OWN_MAILS: Mapping[str, str] = {
    "confirmation": "Please confirm your sign-up",
    "welcome": "Welcome",
    "whitepaper": "Your whitepaper",
    "goodbye": "Your withdrawal has been carried out",
    "my_data": "Your data: the link you asked for",
    "new_address": "Please confirm your new e-mail address",
    "address_asked": "Your e-mail address is to be changed",
}
KINDS: Mapping[RightsRequestKind, str] = {
    RightsRequestKind.ACCESS: "Access to your data",
    RightsRequestKind.RECTIFICATION: "Correction",
    RightsRequestKind.NEW_ADDRESS: "Change of your e-mail address",
    RightsRequestKind.ERASURE: "Erasure",
    RightsRequestKind.RESTRICTION: "Restriction",
    RightsRequestKind.LIFTING: "End of a restriction",
    RightsRequestKind.PORTABILITY: "Download of your data",
    RightsRequestKind.OBJECTION: "Objection",
    RightsRequestKind.WITHDRAWAL: "Withdrawal",
    RightsRequestKind.OPENS_ERASURE: "Erasure of your opens",
}
#: Of the form, by column.
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
SALUTATIONS: Mapping[str, str] = {"ms": "Ms", "mr": "Mr"}
