"""The wheel holds everything the service reads at run time, and runs from any directory."""

import subprocess
import zipfile
from pathlib import Path

import httpx
import pytest

from tests.conftest import NewDatabase
from tests.journeys.people import Person
from tests.journeys.service import serving
from tests.journeys.test_the_main_job import ANNA, tell
from tests.smtp_server import SmtpServer
from tests.wheel import ROOT, Installed, build_wheel, install_wheel

pytestmark = pytest.mark.slow

#: Folder in the sources -> folder in the wheel.
SHIPPED = {
    "templates/emails": "pixel_service/templates/emails",
    "pixel_service/pages": "pixel_service/pages",
    "pixel_service/static": "pixel_service/static",
    "pixel_service/locales": "pixel_service/locales",
    "pixel_service/schemas": "pixel_service/schemas",
    "pixel_service/sample_catalogue": "pixel_service/sample_catalogue",
    "pixel_service/storage/migrations": "pixel_service/storage/migrations",
}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("wheel")
    return install_wheel(build_wheel(folder / "dist"), folder / "environment")


@pytest.mark.parametrize("source,target", SHIPPED.items(), ids=SHIPPED)
def test_the_wheel_holds_every_file_of(source: str, target: str, installed: Installed) -> None:
    files = [path.relative_to(ROOT / source) for path in (ROOT / source).rglob("*") if path.is_file()]
    expected = {f"{target}/{path.as_posix()}" for path in files if "__pycache__" not in path.parts}
    assert expected
    assert expected - set(zipfile.ZipFile(installed.wheel).namelist()) == set()


def test_the_wheel_holds_nothing_but_the_package(installed: Installed) -> None:
    tops = {name.split("/")[0] for name in zipfile.ZipFile(installed.wheel).namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"pixel_service"}


def test_the_installed_package_is_not_the_source_tree(installed: Installed, tmp_path: Path) -> None:
    where = [str(installed.scripts / "python"), "-c", "import pixel_service; print(pixel_service.__file__)"]
    found = subprocess.run(where, cwd=tmp_path, capture_output=True, text=True, check=True).stdout.strip()
    assert Path(found).is_relative_to(installed.scripts.parent)


def test_the_installed_command_answers_in_another_directory(installed: Installed, tmp_path: Path) -> None:
    done = subprocess.run(installed.command("--help"), cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for command in ("serve", "work", "demo", "migrate"):
        assert command in done.stdout


async def test_the_whole_story_runs_from_the_wheel_in_another_directory(
    installed: Installed, new_sqlite: NewDatabase
) -> None:
    url = new_sqlite()
    with SmtpServer() as smtp:
        async with (
            serving(url, smtp_port=smtp.port, command=installed.command()) as service,
            httpx.AsyncClient(base_url=service.base_url, timeout=30) as client,
        ):
            await tell(url, service, Person(ANNA, client, smtp))
