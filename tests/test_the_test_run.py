"""The test run's own promises: a skip is a failure where everything is required, and only there."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
PYTEST = [
    *(sys.executable, "-m", "pytest"),
    *("-p", "tests.conftest", "-p", "no:cacheprovider", "--continue-on-collection-errors"),
]
SKIPPING = """
import pytest

def test_skips():
    pytest.skip("no browser")

@pytest.mark.xfail(strict=True)
def test_is_known_to_fail():
    assert False
"""


def _run(folder: Path, require: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_skipping.py").write_text(SKIPPING)
    (folder / "test_skipped_whole.py").write_text("import pytest\npytest.skip('no server', allow_module_level=True)\n")
    return subprocess.run(
        [*PYTEST, "--rootdir", folder, folder],
        cwd=ROOT,
        env={**os.environ, "PIXEL_TEST_REQUIRE": require},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_skip_is_a_failure_when_everything_is_required(tmp_path: Path) -> None:
    run = _run(tmp_path, "all")
    assert run.returncode != 0
    assert "PIXEL_TEST_REQUIRE=all, but: Skipped: no browser" in run.stdout
    assert "PIXEL_TEST_REQUIRE=all, but: Skipped: no server" in run.stdout


def test_a_skip_is_a_skip_otherwise(tmp_path: Path) -> None:
    run = _run(tmp_path, "")
    assert run.returncode == 0
    assert "2 skipped, 1 xfailed" in run.stdout
