"""The service as a user gets it: a built wheel, installed in an environment of its own, far from the sources."""

import subprocess
import sys
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """`scripts` is the environment's folder of commands."""

    wheel: Path
    scripts: Path

    def command(self, *arguments: str) -> list[str]:
        return [str(self.scripts / "pixel-service"), *arguments]


def build_wheel(folder: Path) -> Path:
    _run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT))
    (wheel,) = folder.glob("*.whl")
    return wheel


def install_wheel(wheel: Path, folder: Path) -> Installed:
    """Dependencies are lent by this environment, which has them from the lock; the project's own code is not: an
    editable install is found by a .pth file of this environment, and those are not read through another one."""
    venv.create(folder, with_pip=False, symlinks=True)
    paths = {"base": str(folder), "platbase": str(folder)}
    packages = Path(sysconfig.get_path("purelib", "venv", vars=paths))
    scripts = Path(sysconfig.get_path("scripts", "venv", vars=paths))
    lent = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (packages / "lent.pth").write_text("\n".join(sorted(lent)) + "\n", encoding="utf-8")
    python = str(scripts / "python")
    # --ignore-installed: the project stands in the lent packages too, as editable.
    pip = ("-m", "pip", "--python", python, "install", "--no-deps", "--no-index", "--ignore-installed", "--quiet")
    _run(sys.executable, *pip, str(wheel))
    return Installed(wheel=wheel, scripts=scripts)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
