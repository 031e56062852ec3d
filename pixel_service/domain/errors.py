"""The one error tree. Broken rules raise; expected outcomes are returned by use cases.

PixelServiceError
├── InvalidInput          a value from outside breaks a bound; names the field
│   └── InvalidFields     several at once
├── WordingOutdated       the form showed a text that is not (or no longer) the current one
├── IdempotencyConflict   same idempotency key, other body
├── NotFound              a thing named by an authorised caller does not exist
├── LedgerBroken          the hash chain does not verify; names the first bad entry
├── SealBroken            sealed evidence does not open; names whose
├── PublishedTextChanged  a published wording or notice was edited in place
├── ImportOvertaken       another process imports the same file
├── CatalogueInvalid      (catalogue.py) the operator's files, every problem at once
├── CannotListen          (cli) the port is taken
├── BackupUnusable        a backup or its journal can not be restored here; says why
└── StorageUnavailable    the database did not store it: locked, full, gone
    └── JournalBroken     the journal of withdrawals can not be written or read; says why

Only `web/errors.py` turns these into status codes. None is frozen: Python itself writes an exception's traceback.
"""

from dataclasses import dataclass


class PixelServiceError(Exception):
    """Root of everything this service raises on purpose."""


@dataclass(slots=True, eq=False)
class InvalidInput(PixelServiceError):
    """`field` is a path as the caller wrote it, e.g. ``recipients[3].address``; `detail` holds no typed value."""

    field: str
    detail: str

    def __str__(self) -> str:
        return f"{self.field}: {self.detail}"


@dataclass(slots=True, eq=False)
class InvalidFields(PixelServiceError):
    problems: tuple[InvalidInput, ...]

    def __str__(self) -> str:
        return "; ".join(str(problem) for problem in self.problems)


@dataclass(slots=True, eq=False)
class WordingOutdated(PixelServiceError):
    """`purposes` whose posted wording version is unknown or not current (S5)."""

    purposes: tuple[str, ...]


class IdempotencyConflict(PixelServiceError):
    """The idempotency key was used before with another body (D1)."""


@dataclass(slots=True, eq=False)
class NotFound(PixelServiceError):
    kind: str

    def __str__(self) -> str:
        return f"no such {self.kind}"


@dataclass(slots=True, eq=False)
class LedgerBroken(PixelServiceError):
    """`seq` is the first entry that does not verify; `detail` names the field."""

    seq: int
    detail: str

    def __str__(self) -> str:
        return f"ledger entry {self.seq}: {self.detail}"


@dataclass(slots=True, eq=False)
class SealBroken(PixelServiceError):
    """`subject` is the opaque id of the erased person."""

    subject: str

    def __str__(self) -> str:
        return f"the sealed evidence of {self.subject} does not open: it was altered, or its secret key is not in the settings"


@dataclass(slots=True, eq=False)
class PublishedTextChanged(PixelServiceError):
    """A published version is immutable: publish a new version instead (DESIGN rule 14)."""

    texts: tuple[str, ...]

    def __str__(self) -> str:
        return "published texts were changed in place, publish a new version instead: " + ", ".join(self.texts)


class ImportOvertaken(PixelServiceError):
    """Nothing of this slice was stored; the other process goes on."""

    def __str__(self) -> str:
        return "another process imports the same file"


class StorageUnavailable(PixelServiceError):
    """Nothing of the transaction was stored; the caller may try again."""


class JournalBroken(StorageUnavailable):
    """What can not be noted is not done: a restored backup would bring it back."""


class BackupUnusable(PixelServiceError):
    """The message is for the operator."""
