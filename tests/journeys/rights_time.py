"""What happens to everybody at once: contacts come in, periods end, a backup takes the place of the database."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from sqlalchemy import select

from pixel_service.domain.backup import Manifest
from pixel_service.domain.consent import Purpose, is_valid
from pixel_service.domain.imports import COLUMNS
from pixel_service.domain.messages import SubscriberId
from pixel_service.storage import archive, consent
from pixel_service.storage.engine import Database
from pixel_service.storage.journal import Journal
from pixel_service.storage.restoring import staged
from pixel_service.storage.schema import opens
from pixel_service.usecases import backup, journal, retain
from pixel_service.usecases.import_contacts import Order, begin, import_slices, open_file
from pixel_service.usecases.restore import bring_up_to_date, examine
from pixel_service.usecases.retain_data import count_due, purge_slice
from tests.journeys.rights_machine import RightsWorld


@dataclass(frozen=True, slots=True)
class Contact:
    address: str
    purpose: Purpose
    proven: bool


@dataclass(frozen=True, slots=True)
class Kept:
    """A backup, and what was true when it was made."""

    file: Path
    manifest: Manifest
    acts: int
    #: id -> address
    people: dict[str, str]
    blocked: frozenset[str]


class TimelyWorld(RightsWorld):
    def __init__(self, db: Database) -> None:
        super().__init__(db)
        self.backup: Kept | None = None
        self.backups = 0
        #: How often something happened that must not be rare.
        self.seen: list[str] = []

    # --- contacts from elsewhere ------------------------------------------------------------------------------

    async def bring_in(self, contacts: Sequence[Contact]) -> None:
        allowed = [one for one in contacts if one.proven and self.people.may_be_imported(one.address, one.purpose)]
        file = open_file(io.BytesIO(self._file(contacts)))
        order = Order(file=file, source="old tool", by="mia", again=True)
        progress = await begin(self.ctx, order)
        async for after in import_slices(self.ctx, file, progress):
            progress = after
        self.seen += ["imported"] * progress.good
        self.people.said |= {one.address for one in contacts}
        for person, address in (await self.on_record()).items():
            wanted = {one.purpose for one in allowed if one.address == address}
            if wanted:
                self.people.add(person, address)
                self.people.agrees_to(self.people.known[person], wanted & await self._valid(person), self.clock())

    async def _valid(self, person: str) -> set[Purpose]:
        """A row may be refused for reasons of its own, such as an answer on record."""
        async with self.db.read() as connection:
            return {
                one
                for one, record in (await consent.consents_of(connection, SubscriberId(person))).items()
                if is_valid(record.state)
            }

    def _file(self, contacts: Sequence[Contact]) -> bytes:
        out = io.StringIO()
        lines = csv.DictWriter(out, COLUMNS, lineterminator="\n")
        lines.writeheader()
        asked = self.clock() - timedelta(days=30)
        for one in contacts:
            row = {"address": one.address, "purpose": one.purpose, "language": "de"}
            proof = {
                "requested_at": asked.isoformat(),
                "confirmed_at": (asked + timedelta(minutes=5)).isoformat(),
                "confirmed_by": "double_opt_in",
                "form_url": "https://alt.example/anmelden",
                "wording_text": "Ja, ich will.",
            }
            lines.writerow({**row, **(proof if one.proven else {})})
        return out.getvalue().encode()

    # --- periods ----------------------------------------------------------------------------------------------

    async def let_periods_end(self) -> None:
        while await retain.erase_unconfirmed(self.ctx):
            pass
        while any((await purge_slice(self.ctx)).values()):
            pass
        assert not any((await count_due(self.ctx)).values())
        self.people.present &= (await self.on_record()).keys()
        async with self.db.read() as connection:
            moments = (await connection.execute(select(opens.c.opened_at))).scalars().all()
        if not any(self.people.known[one].restricted for one in self.people.present):
            assert all(at > self.clock() - self.ctx.policy.keep.opens for at in moments), "an open outlived its period"

    # --- a backup ---------------------------------------------------------------------------------------------

    async def keep_a_journal(self) -> None:
        """On SQLite; on PostgreSQL a restore loads a dump, too slow for so many."""
        if self.db.is_sqlite:
            self.ctx = replace(self.ctx, journal=Journal(self._beside("withdrawals")))
            await journal.bind(self.ctx)

    def _beside(self, name: str) -> Path:
        return Path(f"{self.db.url.database}.{name}")

    async def back_up(self) -> None:
        self.backups += 1
        file = self._beside(f"backup-{self.backups}")
        self.backup = Kept(
            file=file,
            manifest=await backup.take(self.ctx, file),
            acts=self.people.acts,
            people=await self.on_record(),
            blocked=frozenset(self.people.blocked),
        )

    async def restore(self) -> None:
        kept = self.backup
        assert kept is not None
        assert self.ctx.journal is not None
        await self.flush()
        await self.db.close()
        url = f"sqlite:///{self.db.url.database}"
        examine(kept.manifest, is_sqlite=True, journal=self.ctx.journal)
        async with staged(url, lambda path: archive.extract(kept.file, kept.manifest, path), replace=True) as place:
            copy = Database(place)
            lines = self.ctx.journal.lines(after=kept.manifest.journal.number)
            restored = await bring_up_to_date(replace(self.ctx, db=copy), kept.manifest, lines)
            await copy.close()
        self.seen += ["restored", *(act.value for act in restored.applied)]
        self.db = Database(url)
        self.ctx = replace(self.ctx, db=self.db)
        self.recorder = self._recorder()
        await self._believe_the_backup(kept)

    async def _believe_the_backup(self, kept: Kept) -> None:
        people, found = self.people, await self.on_record()
        assert not people.erased & found.keys(), "an erased person came back"
        # Nobody is imported who said no since, or gave up an address; what is on record protects itself.
        said_no = {who for (one, who), act in people.noes.items() if act > kept.acts and one not in found}
        people.blocked |= said_no
        people.blocked -= set(found.values()) - kept.blocked
        people.present = set(found)
        for one, address in found.items():
            person = people.known[one]
            if person.moved > kept.acts:
                assert address == kept.people[one]
                person.address = address
                people.restricts(person, self.clock())
            assert person.address == address
