"""What the verdicts mean to a report."""

from pixel_service.domain.opens import LIKELY_HUMAN, MACHINE, Verdict


def test_no_verdict_is_both_human_and_machine() -> None:
    assert LIKELY_HUMAN.isdisjoint(MACHINE)
    assert set(Verdict) - LIKELY_HUMAN - MACHINE == {Verdict.PREVIEW, Verdict.UNKNOWN}
