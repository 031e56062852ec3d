"""What an import may not do, though its row is proven: overrule a person, or keep a text that is none (E9)."""

from dataclasses import dataclass
from datetime import datetime

from pixel_service.domain.consent import Event, State, decide
from pixel_service.domain.evidence import TextKey
from pixel_service.domain.imports import IMPORTED_TEXT, Code, ImportRow, Rejected

#: Of imported texts, all imports together: a text of its own in every row would be one that names a person.
MOST_TEXTS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class OnRecord:
    """What the service knows already of a row's person and purpose."""

    erased: bool = False
    restricted: bool = False
    objected: bool = False
    state: State = State.UNKNOWN
    #: When they last withdrew or objected to anything that they have not agreed to again.
    said_no_at: datetime | None = None
    #: That state comes from this very import.
    from_this_file: bool = False


def judge(one: ImportRow, known: OnRecord) -> Rejected | None:
    """None for a row that is imported. What the person said here stands above every file."""
    if known.erased:
        code = Code.ERASED
        reason = (
            "the person had their data erased, gave up this address, or ended what a restored backup does not know of"
        )
    elif known.restricted:
        code, reason = Code.RESTRICTED, "the person restricted the use of their data"
    elif known.objected:
        code, reason = Code.OBJECTED, "the person objected to marketing"
    elif known.from_this_file:
        code, reason = Code.DUPLICATE, "this address and purpose stand further up in the file"
    elif decide(known.state, Event.IMPORT).act is None:
        code, reason = Code.ON_RECORD, "a choice is on record"
    elif known.said_no_at is not None and known.said_no_at > one.confirmed_at:
        code, reason = Code.WITHDREW_SINCE, "the person withdrew consent after this one was confirmed"
    else:
        return None
    return Rejected(
        row=one.row,
        field="purpose" if code in {Code.DUPLICATE, Code.ON_RECORD} else "address",
        code=code,
        reason=reason,
    )


def take_text(one: ImportRow, kept: dict[TextKey, str]) -> Rejected | None:
    """Notes a text that came with the row in `kept`, the imported texts by their hashes. None if it can be shown."""
    wording, key = one.wording, one.text_key
    if wording.version.startswith(IMPORTED_TEXT) and kept.get(key) != wording.hash:
        if key in kept or len(kept) >= MOST_TEXTS:
            reason = f"more than {MOST_TEXTS} different texts: a text is the same for everybody"
            return Rejected(row=one.row, field="wording_text", code=Code.UNKNOWN_WORDING, reason=reason)
        kept[key] = wording.hash
    return None
