"""How bad what canaries found is, and that it can be told without naming anybody."""

from datetime import UTC, datetime

import pytest

from pixel_service.domain.canaries import VIOLATIONS, Finding, Report, Result, Trouble
from pixel_service.domain.consent import State

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)


def report(*findings: Finding) -> Report:
    return Report(at=NOW, canaries=9, findings=findings)


def test_a_run_without_findings_is_clean() -> None:
    assert (report().result, report().violations) == (Result.CLEAN, 0)


@pytest.mark.parametrize("trouble", Trouble)
def test_only_what_was_measured_without_consent_is_a_violation(trouble: Trouble) -> None:
    found = report(Finding(trouble, State.REFUSED))
    assert (found.result is Result.VIOLATION) == (found.violations == 1) == (trouble in VIOLATIONS)
    assert found.result is not Result.CLEAN


def test_rows_of_people_count_one_by_one_and_a_fault_beside_them_counts_nothing() -> None:
    found = report(Finding(Trouble.ROWS_WITHOUT_CONSENT, None, 3), Finding(Trouble.OPEN_LOST, State.GIVEN))
    assert (found.result, found.violations) == (Result.VIOLATION, 3)


def test_a_finding_reads_as_state_and_trouble() -> None:
    assert str(Finding(Trouble.OPEN_LOST, State.GIVEN)) == "given: open_lost (1)"
    assert str(Finding(Trouble.ROWS_WITHOUT_CONSENT, None, 3)) == "people: rows_without_consent (3)"
