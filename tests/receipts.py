"""Histories of consent for tests of records and receipts, and the judges: JSON Schema, SHACL, a JSON-LD processor."""

import json
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from random import Random
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker
from pyshacl import validate
from rdflib import Graph, Namespace

from pixel_service.domain.consent import Event, Purpose, State, decide
from pixel_service.domain.ledger import GENESIS, Draft, Entry, chain
from pixel_service.domain.messages import SubscriberId
from pixel_service.domain.receipt_facts import Practice
from pixel_service.domain.wordings import Language, Processor
from pixel_service.usecases.receipts import SCHEMAS
from tests.builders import BASE_URL, BLOG, GLASFASER, OPENS, catalogue
from tests.company import nordlicht

DPV = Namespace("https://w3id.org/dpv#")
DCT = Namespace("http://purl.org/dc/terms/")
START = datetime(2026, 11, 2, 10, 0, tzinfo=UTC)
ADA = SubscriberId("abcdefghijklmnopqrstuvwxya")
ADDRESS = "anna.beispiel@example.com"
PURPOSES = (BLOG, GLASFASER, OPENS)

#: What a parser gives, and tests pick apart.
Document = Mapping[str, Any]


def practice() -> Practice:
    german, english = Language("de"), Language("en")
    host = Processor(
        name="Rechenzentrum Süd & Söhne",
        roles={german: "Betrieb der Server", english: "runs the servers"},
        countries={german: "Deutschland", english: "Germany"},
        safeguards={},
    )
    return Practice(
        base_url=BASE_URL,
        company=nordlicht(),
        locations=("DE", "FR"),
        withdraw_address="stop@news.example",
        confirm_within=timedelta(days=7),
        opens_kept="P6M",
        processors=(host,),
        language=german,
    )


# --- histories ------------------------------------------------------------------


@dataclass(slots=True)
class History:
    """A ledger of one person, written as the service writes it: only what `decide` calls an act."""

    subject: SubscriberId = ADA
    entries: list[Entry] = field(default_factory=list)
    states: dict[Purpose, State] = field(default_factory=dict)

    def happens(self, purpose: Purpose, event: Event, content: Mapping[str, object] | None = None) -> None:
        decision = decide(self.states.get(purpose, State.UNKNOWN), event)
        if decision.act is None:
            return
        self.states[purpose] = decision.state
        draft = Draft(
            subscriber_id=self.subject,
            purpose=purpose,
            act=decision.act,
            at=START + timedelta(hours=len(self.entries), microseconds=123456),
            content=asked(purpose) if content is None else content,
            salt="a" * 26,
        )
        previous = self.entries[-1].entry_hash if self.entries else GENESIS
        self.entries.append(chain(draft, seq=len(self.entries) + 1, previous_hash=previous))


def asked(purpose: Purpose, language: str = "de", **more: object) -> dict[str, object]:
    """What the ledger keeps of a form."""
    wording = catalogue().current(purpose, language)
    return {
        "sign_up": "s" * 26,
        "language": language,
        "wording_version": wording.version,
        "wording_hash": wording.hash,
        "notice_version": catalogue().notice_version,
        "form_url": f"{BASE_URL}/newsletter/blog?email={ADDRESS}#{ADDRESS}",
        "fields": {"address": ADDRESS, "first_name": "Anna", "interests": f"write to {ADDRESS}"},
        **more,
    }


def _contents(chance: Random, purpose: Purpose) -> Mapping[str, object]:
    """What forms, pages, operators, imports and a dropped entry leave behind."""
    return chance.choice(
        (
            asked(purpose),
            asked(purpose, "en"),
            asked(purpose, "en", source="confirm_page"),
            # A language of pages without texts: the form showed the first one.
            {**asked(purpose), "language": "fr"},
            {**asked(purpose), "wording_version": "2019-01", "wording_hash": "0" * 64, "notice_version": "2019-01"},
            {"source": "one_click"},
            {"source": f"a letter of {ADDRESS}"},
            {"form_url": f"https://{ADDRESS}/form", "language": f"<{ADDRESS}>", "wording_version": 7, "fields": []},
            {},
        )
    )


def random_history(seed: int) -> History:
    """Up to a dozen events over up to three purposes; sometimes retention has dropped what is oldest."""
    chance = Random(seed)
    letters = "abcdefghijklmnopqrstuvwxyz234567"
    history = History(subject=SubscriberId("".join(chance.choices(letters, k=25)) + "a"))
    purposes = chance.sample(PURPOSES, chance.randint(1, len(PURPOSES)))
    for _ in range(chance.randint(1, 12)):
        purpose = chance.choice(purposes)
        history.happens(purpose, chance.choice(list(Event)), _contents(chance, purpose))
    if not history.entries:
        history.happens(purposes[0], Event.REQUEST)
    dropped = chance.choice((0, 0, 0, 1, len(history.entries)))
    history.entries[:dropped] = [dropped_content(entry) for entry in history.entries[:dropped]]
    return history


def dropped_content(entry: Entry) -> Entry:
    return replace(entry, content=None, salt=None)


# --- judges ---------------------------------------------------------------------


@contextmanager
def _foreign_warnings() -> Iterator[None]:
    """rdflib's JSON-LD parser and pyshacl still use classes that rdflib calls deprecated."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


@cache
def _schema() -> Draft202012Validator:
    schema = json.loads((SCHEMAS / "consent-record.schema.json").read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema, format_checker=FormatChecker())


@cache
def _shapes() -> Graph:
    return Graph().parse(SCHEMAS / "consent-record.shacl.ttl")


def schema_problems(document: Document) -> list[str]:
    """Where and what, for the branch of the schema that is about this kind of document."""
    errors = _schema().iter_errors(document)
    return [f"{one.json_path}: {one.message[:200]}" for error in errors for one in (*(error.context or ()), error)]


def parsed(documents: Iterable[Document]) -> Graph:
    """The triples of documents that share one context. Nothing is fetched."""
    documents = list(documents)
    bodies = [{key: value for key, value in one.items() if key != "@context"} for one in documents]
    text = json.dumps({"@context": documents[0]["@context"], "@graph": bodies})
    with _foreign_warnings():
        return Graph().parse(data=text, format="json-ld")


def shape_problems(graph: Graph) -> str:
    """Empty when every shape fits."""
    with _foreign_warnings():
        conforms, _, told = validate(graph, shacl_graph=_shapes())
    return "" if conforms else str(told)


def purposes_in(graph: Graph) -> dict[str, list[str]]:
    """Identifier of each record -> its purposes, as a JSON-LD processor sees them."""
    found = {}
    for record in graph.subjects(predicate=None, object=DPV.ConsentRecord):
        purposes = [
            str(graph.value(purpose, DCT.identifier))
            for process in graph.objects(record, DPV.hasProcess)
            for purpose in graph.objects(process, DPV.hasPurpose)
        ]
        found[str(graph.value(record, DCT.identifier))] = sorted(purposes)
    return found


def purposes_of(documents: Sequence[Document]) -> dict[str, list[str]]:
    """The same, as the JSON says."""
    return {
        str(one["identifier"]): sorted(process["purpose"]["identifier"] for process in one["processes"])
        for one in documents
    }
