"""What a batch adds to the figures. That it is what the rows say is proven in tests/storage/test_figures.py."""

from datetime import timedelta

import pytest

from pixel_service.domain.figures import DELAYS, delay_name
from pixel_service.domain.messages import CampaignId, Tracking
from pixel_service.domain.opens import Judgement, Verdict
from pixel_service.domain.settling import Letter, Seen, seconds, settle
from pixel_service.domain.tally import Tally
from tests.tracked_mail import GMAIL, NOW, fetch

CAMPAIGN = CampaignId("c")
MPP = Judgement(Verdict.PREFETCH, "apple_mpp", "Apple Mail")
SENT = Letter(seconds(NOW), None)
HOUR = seconds(NOW) // 3600


def tally_of(
    letter: Letter, *judgements: Judgement, before: Seen | None = None, tracking: str = Tracking.TRACKED
) -> dict[tuple[str, str, int], int]:
    tally = Tally()
    fetches = [fetch(None, at=NOW + timedelta(minutes=2 * n), judgement=one) for n, one in enumerate(judgements)]
    tally.add_message(CAMPAIGN, tracking, letter, before, settle(before, letter, fetches))
    return {key[1:]: amount for key, amount in tally.changes().items()}


def test_the_first_open_of_a_sent_mail() -> None:
    assert tally_of(SENT, GMAIL) == {
        ("opens", "opens", HOUR): 1,
        ("verdict", "proxy_open/gmail/Gmail", 0): 1,
        ("standing", "human", 0): 1,
        ("client", "Gmail", 0): 1,
        ("unique", "opens", 0): 1,
        ("first", "", HOUR): 1,
        ("session", "", 0): 1,
        ("delay", "1m", 0): 1,
    }


def test_a_person_after_a_machine_takes_its_standing_away() -> None:
    machine = settle(None, SENT, [fetch(None, judgement=MPP)]).seen
    changes = tally_of(SENT, GMAIL, before=machine)
    assert changes["standing", "mpp", 0] == -1
    assert changes["standing", "human", 0] == 1
    assert ("unique", "machine", 0) not in changes
    assert ("message", "tracked", 0) not in changes


def test_a_mail_that_is_opened_is_out_whatever_its_worker_recorded() -> None:
    changes = tally_of(Letter(None, seconds(NOW)), GMAIL)
    assert changes["message", "tracked", 0] == 1
    assert not [key for key in changes if key[0] == "delay"]


@pytest.mark.parametrize("tracking", [one for one in Tracking if one is not Tracking.TRACKED])
def test_of_a_mail_that_is_not_tracked_only_itself_counts(tracking: Tracking) -> None:
    assert tally_of(SENT, GMAIL, tracking=tracking) == {}
    assert tally_of(Letter(None, None), GMAIL, tracking=tracking) == {("message", tracking.value, 0): 1}


def test_what_stores_nothing_changes_nothing() -> None:
    seen = settle(None, SENT, [fetch(None)]).seen
    assert tally_of(SENT, GMAIL, before=seen) == {}
    assert tally_of(Letter(None, None)) == {}


def test_every_delay_has_a_name() -> None:
    ends = [end for end in DELAYS.values() if end is not None]
    assert ends == sorted(ends)
    names = list(DELAYS)
    assert [delay_name(0), *(delay_name(end) for end in ends)] == names
    assert [delay_name(end - 1) for end in ends] == names[:-1]
