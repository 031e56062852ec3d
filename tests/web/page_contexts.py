"""For every page template, values as the handlers pass them: the tests render all pages in all languages with them."""

from collections.abc import Mapping
from typing import Any

from pixel_service.domain.timing import Cell
from pixel_service.web.ranges import Span, week

LONG = " ".join(["Er informiert über Glasfaserausbauplanung, Netzwerktechnik und Verfügbarkeitsprüfungen."] * 8)
MOMENT = "22. November 2026, 10:15 Uhr (MEZ)"
PREFERENCES = {"preferences_href": "/p/abcdefghijklmnopqrstuvwxyz"}

#: Values of any shape, as templates take them: the one place where a test needs no more of their types.
Values = Mapping[str, Any]


def choice(name: str, **more: object) -> Values:
    text = f"Ja, Nordlicht darf mir {name} senden.\n\n{LONG}\n\nWiderruf: datenschutz@nordlicht.example"
    summary = text.partition("\n\n")[0]
    return {"name": name, "label": f"Label of {name}", "text": text, "summary": summary, "version": "2026-11", **more}


OFFER = {
    "kind": "newsletter",
    "slug": "blog",
    "title": "Netzwerk-Blog",
    "description": "Zweimal im Monat.",
    "topics": ["Glasfaser", "IT-Sicherheit"],
}
PROFILE = [
    {
        "name": "salutation",
        "label": "Anrede",
        "type": "text",
        "autocomplete": "honorific-prefix",
        "maxlength": 40,
        "options": [("", "keine Angabe"), ("ms", "Frau")],
    },
    {
        "name": "company",
        "label": "Firma",
        "type": "text",
        "autocomplete": "organization",
        "maxlength": 120,
        "options": None,
    },
]
SIGN_UP: Values = {
    "offer": OFFER,
    "choices": [choice("newsletter-blog", checked=False), choice("tracking-opens", checked=False)],
    "values": {},
    "errors": {},
    "profile_fields": PROFILE,
    "outdated": False,
    "notice_version": "2026-11",
    "privacy_href": "/privacy?lang=de",
    "action": "/newsletter/blog",
}
NOTICE = [
    ("p", "Fassung."),
    ("h2", "Wer"),
    ("dl", [("Verantwortlich", "Wir, siehe https://nordlicht.example")]),
    ("h3", "Was"),
    ("ul", ["Eins", "Zwei"]),
]
CONFIRM: Values = {
    "code": "",
    "choices": [choice("newsletter-blog", checked=True), choice("tracking-opens", checked=True)],
    "requested_at": MOMENT,
    "action": "/c/abcdefghijklmnopqrstuvwxyz",
}
TIMELINE = [{"label": f"{hour}:00", "opens": 40 - hour, "machine": hour % 3} for hour in range(24)]
CELLS = [Cell(weekday=2, hour=9, opens=140), Cell(weekday=7, hour=23, opens=20)]
WEEK: Values = {
    "drawn": week(CELLS),
    "days": [(day, row) for day, row in zip(("Mo", "Di", "Mi", "Do", "Fr", "Sa", "So"), week([]).rows, strict=True)],
    "tiles": [(tile, "Di, 9 bis 10 Uhr") for tile in week(CELLS).tiles],
    "best": [{"label": "Di, 9 bis 10 Uhr", "number": 140}],
}
SHARE: Values = {
    "label": "Schätzung",
    "hint": "Wenn alle gleich wären.",
    "value": "31,4 %",
    "range": "30,1 % bis 32,8 %",
    "span": Span(value=62.8, low=60.2, high=65.6, width=5.4),
}
EDITION: Values = {**SHARE, "name": "Blog Oktober", "sent_on": MOMENT, "href": "/console/campaigns/y", "current": False}
CAMPAIGN: Values = {
    "name": "Blog November",
    "tags": ["glasfaser"],
    "whole": True,
    "young": True,
    "figures": [{"label": "Versendet", "value": "12.480", "hint": "an bestätigte Adressen"}],
    "rates": {"end": "50 %", "rows": [SHARE, {**SHARE, "value": "--", "range": "", "span": None}]},
    "timeline": TIMELINE,
    "delays": [{"label": "bis 1 Minute", "number": 17, "length": 100.0}],
    "median_delay": "1 bis 6 Stunden",
    "half_in_after": "6 Stunden",
    "most_in_after": "3 Tagen",
    "clients": [
        {"label": "Outlook", "unique": 377, "share": "21 %", "hidden": False},
        {"label": "Gmail", "unique": 300, "share": "17 %", "hidden": True},
    ],
    "hidden_by_apple": "388",
    "machines": [{"label": "Apples Datenschutz", "number": 388}],
    "week": WEEK,
    "comparison": {
        "age": "3 Tagen",
        "typical": "29 %",
        "end": "50 %",
        "rows": [EDITION, {**EDITION, "name": "Blog November", "current": True}],
    },
    "trust": [{"label": "Von allen Abrufen: unklar", "value": "1 %"}],
    "withdrawn_since": "Seither haben 12 Personen widerrufen.",
    "restricted": "2 Personen haben die Nutzung eingeschränkt.",
}
UNSEEN: Values = {
    **CAMPAIGN,
    "tags": [],
    "whole": False,
    "young": False,
    "timeline": [],
    "delays": [],
    "clients": [],
    "machines": [],
    "week": None,
    "comparison": {"age": "--", "typical": "--", "end": "5 %", "rows": []},
    "restricted": "",
}
MAIL: Values = {
    "subject": "AW: Neues",
    "sender": "anna@beispiel.example",
    "received_at": MOMENT,
    "excerpt": "Guten Tag,\n\nkann ich mich abmelden?",
    "address": "anna@beispiel.example",
    "known": True,
    "action": "/console/inbox/x",
}
LISTED = {"href": "/console/campaigns/x", "name": "Blog November", "sent_at": MOMENT}
COUNTED = {"sent": 12480, "tracked": 4310, "unique": 1129, "share": "26,2 %", "machine": 388}
#: As `usecases.evidence_document` makes it; plain, so that every text in it can be spoiled.
PROOF: Values = {
    "title": "Nachweis der Einwilligung: anna@beispiel.example",
    "facts": [{"label": "Grund", "value": "Anfrage 17", "exact": False}],
    "sections": [
        {"title": "Kurz gefasst", "paragraphs": [LONG], "facts": [], "quotes": [], "steps": []},
        {
            "title": "Alle Einträge",
            "paragraphs": [],
            "facts": [{"label": "SHA-256", "value": "0" * 64, "exact": True}],
            "quotes": [{"title": "Wortlaut", "text": LONG}],
            "steps": [{"title": "1. Angefragt", "facts": [{"label": "Wann", "value": MOMENT, "exact": False}]}],
        },
    ],
}
MY_DATA: Values = {
    "document": PROOF,
    "actions": dict.fromkeys(
        ("delete-opens", "restrict", "lift", "object", "stop-measuring", "withdraw", "my-data.json", "my-data.zip"),
        "/privacy/me/x/act",
    ),
    "erase_href": "/privacy/me/x/erase",
    "correct_href": "/privacy/me/x/correct",
    "address_href": "/privacy/me/x/address",
    "measuring": True,
    "opens": 12,
    "restricted": None,
    "objected": None,
}
CORRECTING: Values = {
    "values": {"company": "Beispiel AG", "salutation": "ms"},
    "profile_fields": PROFILE,
    "action": "/privacy/me/x/correct",
    "back_href": "/privacy/me/x",
}
EVIDENCE: Values = {
    "action": "/console/evidence",
    "allowed": True,
    "unknown": False,
    "error": None,
    "address": "",
    "reason": "",
}
REQUEST: Values = {
    "kind": "Auskunft (Art. 15)",
    "asked_at": MOMENT,
    "due_at": MOMENT,
    "done_at": "",
    "note": "Brief 17",
}
PERSON: Values = {
    "address": "anna@beispiel.example",
    "restricted": False,
    "objected": False,
    "choices": [{"label": "Netzwerk-Blog", "state": "Einwilligung besteht"}],
    "requests": [REQUEST, {**REQUEST, "done_at": MOMENT}],
}
REQUESTS: Values = {
    "action": "/console/requests",
    "said": "Erledigt.",
    "tone": "good",
    "address": "",
    "reason": "Brief 17",
    "person": None,
    "errors": {},
    "values": {"company": "Beispiel AG"},
    "profile_fields": PROFILE,
    "new": "",
    "actions": {what: f"/console/person/{what}" for what in ("correct", "address", "copy")},
    "kinds": [{"value": "access", "label": "Auskunft (Art. 15)"}],
    "waiting": [
        {**REQUEST, "address": "bo@beispiel.example", "overdue": True, "action": "/console/requests/x"},
        {**REQUEST, "address": "", "overdue": False, "note": "", "action": "/console/requests/y"},
    ],
}

#: template -> the states it is seen in
COUNTERS = [{"label": "Gespeichert", "value": "1.204", "hint": "Die Einwilligung galt."}]
CANARIES: Values = {
    "tone": "bad",
    "said": ["Alarm.", "Auch früher schon."],
    "found": [
        {"state": "abgelehnt", "trouble": "eine E-Mail trug ein Zählpixel", "number": "1"},
        {"state": "", "trouble": "Zählpixel ohne Einwilligung", "number": "3"},
    ],
    "ran_at": MOMENT,
    "flown": "9",
    "violations": "4",
}
PAGES: Mapping[str, tuple[Values, ...]] = {
    "offers": (
        {
            "newsletters": [{"title": "Netzwerk-Blog", "description": "Zweimal im Monat.", "href": "/newsletter/blog"}],
            "whitepapers": [{"title": "Glasfaser", "description": "Leitfaden.", "href": "/whitepaper/glasfaser"}],
        },
        {"newsletters": [], "whitepapers": []},
    ),
    "sign_up": (
        SIGN_UP,
        {
            **SIGN_UP,
            "offer": {**OFFER, "kind": "whitepaper", "topics": []},
            "outdated": True,
            "values": {"address": "anna@", "company": "Beispiel AG", "salutation": "ms"},
            "errors": {"address": "Die Adresse ist unvollständig.", "choices": "Wählen Sie mindestens eines."},
        },
        {**SIGN_UP, "profile_fields": []},
    ),
    "check_mail": ({"address": "anna@beispiel.example", "valid_until": MOMENT, "again": "/c/abc/resend"},),
    "mail_sent": ({},),
    "confirm": (CONFIRM, {**CONFIRM, "code": "asked"}, {**CONFIRM, "code": "wrong"}),
    "code_locked": ({"action": "/c/abc/resend"},),
    "confirmed": (
        {
            "confirmed": ["Netzwerk-Blog"],
            "refused": ["Messung"],
            "downloads": [{"title": "Glasfaser", "href": "/d/x"}],
            **PREFERENCES,
        },
        {"confirmed": [], "refused": ["Messung"], "downloads": [], **PREFERENCES},
    ),
    "already_confirmed": (PREFERENCES,),
    "link_expired": ({"action": "/c/x/resend"}, {"action": None}),
    "link_unknown": ({},),
    "preferences": tuple(
        {
            "choices": [
                choice("newsletter-blog", active=True, since=MOMENT),
                choice("tracking-opens", active=False, since=None),
            ],
            "action": "/p/x",
            "stop_all_action": "/p/x/stop",
            "my_data_href": "/privacy/request?lang=de",
            "receipt_href": None if outdated else "/p/x/receipt.jsonld",
            "saved": saved,
            "mail_sent": mail_sent,
            "outdated": outdated,
            "restricted": restricted,
        }
        for saved, mail_sent, outdated, restricted in (
            (False, False, False, False),
            (True, False, False, True),
            (True, True, False, False),
            (False, False, True, False),
        )
    ),
    "withdraw": tuple(
        {"what": what, "label": "Netzwerk-Blog", "action": "/u/x", **PREFERENCES} for what in ("newsletter", "tracking")
    ),
    "receipt": tuple(
        {
            "withdrawn": withdrawn,
            "opens": 1204,
            "pixels": 17,
            "mails": 1,
            "at": MOMENT,
            "mail_sent": not withdrawn,
            **PREFERENCES,
        }
        for withdrawn in (["Messung"], [])
    ),
    "download_expired": ({"action": "/d/x"}, {"action": None}),
    "privacy": (
        {"notice": NOTICE, "version": "2026-11-3f9c01ab", "current_href": None},
        {"notice": NOTICE, "version": "2026-05-0123abcd", "current_href": "/privacy?lang=de"},
    ),
    "my_data_request": (
        {"action": "/privacy/request", "address": "", "error": None},
        {"action": "/privacy/request", "address": "anna@", "error": "Bitte prüfen."},
    ),
    "my_data_mailed": ({},),
    "my_data_expired": ({"ask_href": "/privacy/request?lang=de"},),
    "my_data": (
        MY_DATA,
        {**MY_DATA, "measuring": False, "opens": 0, "restricted": MOMENT, "objected": MOMENT},
    ),
    "my_data_erase": (
        {
            "address": "anna@beispiel.example",
            "mails": 1,
            "opens": 1204,
            "action": "/privacy/me/x/erase",
            "back_href": "/privacy/me/x",
        },
    ),
    "my_data_correct": (
        {**CORRECTING, "errors": {}},
        {**CORRECTING, "errors": {"company": "Firma: höchstens 120 Zeichen.", "salutation": "Anrede: bitte wählen."}},
    ),
    "my_data_corrected": (
        {"changed": [("Firma", "Beispiel AG"), ("Telefon", "")], "at": MOMENT, "back_href": "/privacy/me/x"},
        {"changed": [], "at": MOMENT, "back_href": "/privacy/me/x"},
    ),
    "my_data_address": tuple(
        {
            "current": "anna@beispiel.example",
            "address": typed,
            "error": error,
            "action": "/privacy/me/x/address",
            "back_href": "/privacy/me/x",
        }
        for typed, error in (("", None), ("anna@", "Bitte prüfen."))
    ),
    "my_data_address_mailed": ({"back_href": "/privacy/me/x"},),
    "new_address": ({"address": "anna.neu@beispiel.example", "action": "/a/x"},),
    "new_address_ended": tuple(
        {"outcome": outcome, "address": "anna.neu@beispiel.example", "ask_href": "/privacy/request"}
        for outcome in ("changed", "taken", "expired")
    ),
    "erased": (
        {"at": MOMENT, "rows": [("Kontaktdaten", 1)], "sealed_until": MOMENT},
        {"at": MOMENT, "rows": [], "sealed_until": None},
    ),
    "right_done": tuple(
        {
            "kind": kind,
            "purposes": ["Netzwerk-Blog"] if kind == "objection" else [],
            "at": MOMENT,
            "opens": 1204,
            "pixels": 17,
            "mails": 1,
            "back_href": "/privacy/me/x",
        }
        for kind in ("restriction", "lifting", "objection", "opens_erasure")
    ),
    "imprint": ({},),
    "error": ({"status": 404, "title": "Diese Seite gibt es nicht", "detail": "Bitte prüfen Sie die Adresse."},),
    "console/login": ({"error": None, "next": "/console/"}, {"error": "Passt nicht zusammen.", "next": "/console/"}),
    "console/campaigns": ({"campaigns": [{**LISTED, **COUNTED}]}, {"campaigns": []}),
    "console/inbox": (
        {"mails": [MAIL, {**MAIL, "known": False}], "said": "Erledigt.", "tone": "good", "more": "Noch 3."},
        {"mails": [], "said": "", "tone": "", "more": ""},
    ),
    "console/requests": (
        REQUESTS,
        {**REQUESTS, "person": PERSON, "waiting": []},
        {
            **REQUESTS,
            "person": PERSON,
            "said": "",
            "new": "anna@",
            "errors": {"company": "Zu lang.", "new": "Bitte prüfen."},
        },
        {**REQUESTS, "person": {**PERSON, "restricted": True, "objected": True, "choices": [], "requests": []}},
    ),
    "console/operation": (
        {"started_at": MOMENT, "counted": COUNTERS, "canaries": CANARIES},
        {
            "started_at": MOMENT,
            "counted": COUNTERS,
            "canaries": {**CANARIES, "tone": "", "said": ["Noch nicht."], "found": [], "ran_at": "", "flown": ""},
        },
    ),
    "console/evidence": (
        EVIDENCE,
        {**EVIDENCE, "error": "Bitte prüfen.", "address": "anna@", "reason": "Anfrage 17"},
        {**EVIDENCE, "unknown": True},
        {**EVIDENCE, "allowed": False},
    ),
    "console/evidence_shown": ({"document": PROOF},),
    "evidence_file": ({"document": PROOF},),
    "console/campaign": (CAMPAIGN, UNSEEN),
}
