"""Which letters say "take me off", how much of it, and which a person has to read (W6)."""

import time

import pytest
from hypothesis import given, strategies

from pixel_service.domain.removal_words import MAX_LINES, Asked, Scope, read_words

QUOTED = "Unsubscribe: abmelden"


def asked(text: str, subject: str = "") -> Asked | None:
    return read_words(subject, text)


@pytest.mark.parametrize(
    "text",
    [
        "Bitte abmelden",
        "BITTE ABMELDEN!!!",
        "Bitte melden Sie mich vom Newsletter ab.\n\nDanke\nAnna Meier",
        "Hiermit bestelle ich den Newsletter ab.",
        "Newsletter abbestellen",
        "Bitte tragen Sie mich aus",
        "Bitte austragen. Danke!",
        "Ich widerrufe.",
        "Ich widerspreche.",
        "Bitte streichen Sie mich von der Liste",
        "Nehmen Sie mich bitte aus dem Verteiler",
        "Bitte den Newsletter einstellen",
        "Stoppen Sie den Newsletter bitte",
        "Keine weiteren Mails!",
        "Ich möchte keine Mails mehr bekommen.",
        "Bitte nicht mehr zusenden",
        "Ich habe schon dreimal um Abmeldung gebeten!",
        "STOP",
        "Stopp bitte",
        "Stop\nAnna Meier\nBeispiel GmbH in Hamburg am Hafen",
        "unsubscribe",
        "Please remove me from this list.",
        "Take me off please",
        "opt-out",
        "I would like to opt out.",
        "Please stop sending these",
        "Don't send me this newsletter",
        "I do not want your newsletter",
        "No more emails",
        "Cancel my subscription",
        "Bitte ab\u00admelden",
        "Bitte a\u0308ndern. Bitte abmelden.",
    ],
)
def test_clear_words_end_what_the_mail_was_about(text: str) -> None:
    found = asked(text)
    assert found is not None
    assert found.needs_answer is False


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Danke, sehr interessant!",
        "Ich möchte mich nicht abmelden.",
        "Ich möchte mich nicht\nabmelden",
        "Kann ich mich abmelden?",
        "Könnten Sie mich bitte austragen?",
        "Wie kann man den Newsletter abbestellen",
        "Bitte abmelden, wenn das geht",
        "Ein Kunde möchte den Newsletter abbestellen",
        "Ich bekomme keine Mails mehr",
        "Ich möchte keine Newsletter verpassen",
        "Melden Sie sich ab Montag bei mir",
        "Bitte erst im Mai abmelden",
        "Den Newsletter behalten, die Messung abstellen",
        "I don't want to unsubscribe",
        "I can't unsubscribe",
        "How do I opt out",
        "Please keep sending, do not unsubscribe",
        "I can't stop reading",
        "Was that a bus stop near your office, or not",
        "Bitte abmelden. Oder doch nicht abmelden.",
    ],
)
def test_what_is_negated_asked_or_said_by_the_way_is_for_a_person(text: str) -> None:
    assert asked(text) is None


@pytest.mark.parametrize(
    "text, scope",
    [
        ("Bitte abmelden", Scope.MAIL),
        ("Newsletter abbestellen", Scope.MAIL),
        ("Bitte die Messung abstellen", Scope.TRACKING),
        ("Please stop tracking me", Scope.TRACKING),
        ("Bitte alle Messungen beenden, Messung einstellen", Scope.TRACKING),
        ("Bitte Newsletter und Tracking abstellen", Scope.ALL),
        ("Please unsubscribe me from everything", Scope.ALL),
        ("Ich widerrufe meine Einwilligung", Scope.ALL),
        ("Bitte aus allen Verteilern austragen", Scope.ALL),
    ],
)
def test_the_words_say_how_much_is_to_end(text: str, scope: Scope) -> None:
    assert asked(text) == Asked(scope, needs_answer=False)


@pytest.mark.parametrize(
    "text",
    [
        "Bitte abmelden. Woher haben Sie meine Adresse?",
        "Löschen Sie alle meine Daten.",
        "Unsubscribe. I will file a complaint.",
    ],
)
def test_what_words_can_not_settle_is_done_and_listed(text: str) -> None:
    found = asked(text)
    assert found is not None
    assert found.needs_answer


@pytest.mark.parametrize(
    "mark",
    [
        "> Nordlicht schrieb",
        "Am 3. November 2026 um 10:00 schrieb Nordlicht <news@news.example>:",
        "On Tue, Nov 3, 2026 at 10:00 AM Nordlicht <news@news.example>",
        "Nordlicht Telekom <news@news.example> schrieb am Di., 3. Nov. 2026:",
        "-----Ursprüngliche Nachricht-----",
        "---------- Forwarded message ---------",
        "________________________________",
        "Von: Nordlicht",
        "*From:* Nordlicht",
        "Begin forwarded message:",
        "-- ",
        "Mit freundlichen Grüßen",
        "Best regards",
        "Gesendet von meinem iPhone",
        "https://news.example/u/abc",
    ],
)
def test_only_what_stands_above_quotation_and_signature_counts(mark: str) -> None:
    assert asked(f"Danke!\n\n{mark}\n{QUOTED}") is None
    assert asked(f"Bitte abmelden\n\n{mark}\nnicht abmelden, falls doch?") == Asked(Scope.MAIL, needs_answer=False)


def test_a_subject_speaks_as_a_sentence_of_its_own() -> None:
    assert asked("", "Newsletter abbestellen") == Asked(Scope.MAIL, needs_answer=False)
    assert asked("Nicht vergessen!", "Abmelden") == Asked(Scope.MAIL, needs_answer=False)
    assert asked("", "Abmelden?") is None


def test_a_long_letter_is_for_a_person() -> None:
    lines = ["Bitte abmelden."] + ["Noch etwas."] * (MAX_LINES - 1)
    assert asked("\n\n".join(lines)) is not None
    assert asked("\n\n".join([*lines, "Und noch etwas."])) is None
    assert asked("Bitte abmelden. " + "x" * 2000) is None


@given(strategies.text() | strategies.text(alphabet="abmelden stop\n>.?! nicht keine mails"))
def test_no_text_breaks_the_reading(text: str) -> None:
    assert asked(text, text) == asked(text, text)


@pytest.mark.parametrize(
    "piece", ["a ", "melden mich ", "> ", "am 2026", "mich ", "newsletter ", "abbestell", "\n", "_", "kein weitere "]
)
def test_no_text_takes_long(piece: str) -> None:
    started = time.perf_counter()
    asked(piece * 20_000, (piece * 200)[:200])
    assert time.perf_counter() - started < 1
