"""A backup as one file: a tar with the manifest and the copy of the database, readable by its owner only.

It appears under its name when it is whole and on disk, and never in place of another file.
"""

import hashlib
import io
import os
import tarfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO

from pixel_service.domain.backup import Manifest, read, spell
from pixel_service.domain.errors import BackupUnusable
from pixel_service.storage.journal import sync_folder

_MANIFEST, _COPY = "manifest.json", "database"
_CHUNK = 1024 * 1024
_MOST_MANIFEST = 64 * 1024


def write(file: Path, manifest: Manifest, copy: Path, secret: bytes) -> Manifest:
    """Returns the manifest with the check sum of `copy` in it."""
    whole = replace(manifest, sha256=_sha256_of(copy))
    aside = file.with_name(f"{file.name}.partial")
    aside.unlink(missing_ok=True)
    opened = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(opened, "wb") as out:  # noqa: PTH123  pathlib opens no descriptor
            with tarfile.open(fileobj=out, mode="w") as tar:
                spelled = spell(whole, secret)
                tar.addfile(_member(_MANIFEST, len(spelled)), io.BytesIO(spelled))
                with copy.open("rb") as data:
                    tar.addfile(_member(_COPY, copy.stat().st_size), data)
            out.flush()
            os.fsync(out.fileno())
        # Unlike a rename, a link never takes the place of a file that came meanwhile.
        file.hardlink_to(aside)
    finally:
        aside.unlink(missing_ok=True)
    sync_folder(file.parent)
    return whole


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o600
    return member


def _sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_manifest(file: Path, secrets: Sequence[bytes]) -> Manifest:
    """Raises `BackupUnusable` for a file that is none of ours, or damaged there."""
    try:
        with tarfile.open(file, "r:") as tar:
            data = _part(tar, _MANIFEST).read(_MOST_MANIFEST)
    except (tarfile.TarError, EOFError) as error:
        raise BackupUnusable(f"{file} is no backup of this service, or damaged") from error
    return read(data, secrets)


def extract(file: Path, manifest: Manifest, target: Path) -> None:
    """The copy of the database, for its owner only. Raises `BackupUnusable` unless every byte is as it was."""
    opened = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    digest = hashlib.sha256()
    try:
        with open(opened, "wb") as out, tarfile.open(file, "r:") as tar:  # noqa: PTH123  as above
            data = _part(tar, _COPY)
            while chunk := data.read(_CHUNK):
                digest.update(chunk)
                out.write(chunk)
    except (tarfile.TarError, EOFError) as error:
        raise BackupUnusable(f"{file} is damaged: it ends too early") from error
    if digest.hexdigest() != manifest.sha256:
        raise BackupUnusable(f"{file} is damaged: the copy of the database is not the one that was made")


def _part(tar: tarfile.TarFile, name: str) -> IO[bytes]:
    try:
        part = tar.extractfile(name)
    except KeyError:
        part = None
    if part is None:
        raise tarfile.ReadError(f"{name} is missing")
    return part
