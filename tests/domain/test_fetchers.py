"""Who fetched the images: mail programs, machines, and how far the numbers carry."""

from pixel_service.domain.fetchers import Client, Fetched, MachineSort, Quality, clients, machines, quality
from pixel_service.domain.opens import Verdict

ROWS = (
    Fetched(verdict=Verdict.PROXY_OPEN, reason="gmail", family="Gmail", total=40),
    Fetched(verdict=Verdict.HUMAN_CLIENT, reason="mail_client", family="Outlook", total=10),
    Fetched(verdict=Verdict.HUMAN_CLIENT, reason="browser", family="Outlook", total=5),
    Fetched(verdict=Verdict.HUMAN_CLIENT, reason="browser", family="", total=5),
    Fetched(verdict=Verdict.PREFETCH, reason="apple_mpp", family="Apple Mail", total=20),
    Fetched(verdict=Verdict.PREFETCH, reason="early", family="", total=3),
    Fetched(verdict=Verdict.PREFETCH, reason="early", family="Chrome", total=4),
    Fetched(verdict=Verdict.SCANNER, reason="network", family="", total=3),
    Fetched(verdict=Verdict.SCANNER, reason="early", family="", total=1),
    Fetched(verdict=Verdict.UNKNOWN, reason="unrecognised", family="", total=9),
)


def test_mail_programs_are_listed_by_recipients_and_say_where_the_provider_hides_them() -> None:
    assert clients(ROWS, {"Outlook": 12, "Gmail": 30, "": 3}, human=40) == (
        Client(family="Gmail", unique=30, total=40, share=0.75, hidden_by_proxy=True),
        Client(family="Outlook", unique=12, total=15, share=0.3, hidden_by_proxy=False),
        Client(family="", unique=3, total=5, share=0.075, hidden_by_proxy=False),
    )


def test_without_opens_there_is_no_mail_program() -> None:
    assert clients((), {}, human=0) == ()


def test_machines_are_told_apart_by_the_rule_that_found_them() -> None:
    assert machines(ROWS) == (
        MachineSort(verdict=Verdict.PREFETCH, reason="apple_mpp", total=20),
        MachineSort(verdict=Verdict.PREFETCH, reason="early", total=7),
        MachineSort(verdict=Verdict.SCANNER, reason="network", total=3),
        MachineSort(verdict=Verdict.SCANNER, reason="early", total=1),
    )


def test_quality_is_shares_of_all_fetches_of_the_opens_and_of_the_recipients() -> None:
    assert quality(ROWS, tracked=200, hidden=50) == Quality(
        machine_share=0.31, unknown_share=0.09, proxy_share=40 / 60, hidden_share=0.25, early=7
    )


def test_without_fetches_quality_has_no_shares() -> None:
    assert quality((), tracked=0, hidden=0) == Quality(
        machine_share=None, unknown_share=None, proxy_share=None, hidden_share=None, early=0
    )
