"""Signed heads of the ledger: without the secret key nobody can rewrite the chain, and nobody can shorten it (E3).

A hash chain alone does not notice that its last entries were removed, or that all of it was made anew. A checkpoint says
"entry `seq` ended the chain with `head`" under an Ed25519 signature (RFC 8032). Its public key is what an auditor notes.
"""

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from pixel_service.domain.errors import LedgerBroken
from pixel_service.domain.ledger import ChainCheck, Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    #: The last entry it covers, and that entry's hash.
    seq: int
    head: str
    #: Aware UTC.
    at: datetime
    #: Ed25519, 64 bytes in hex, over everything above.
    signature: str
    #: 32 bytes in hex.
    public_key: str


def public_key_of(secret: bytes) -> str:
    """`secret`: 32 bytes."""
    return Ed25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw().hex()


def sign(secret: bytes, *, seq: int, head: str, at: datetime) -> Checkpoint:
    signature = Ed25519PrivateKey.from_private_bytes(secret).sign(_signed(seq, head, at)).hex()
    return Checkpoint(seq=seq, head=head, at=at, signature=signature, public_key=public_key_of(secret))


def is_genuine(checkpoint: Checkpoint) -> bool:
    """Whether its own public key signed it. Whose key that is, the caller decides."""
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(checkpoint.public_key))
        key.verify(bytes.fromhex(checkpoint.signature), _signed(checkpoint.seq, checkpoint.head, checkpoint.at))
    except (InvalidSignature, ValueError):
        return False
    return True


def _signed(seq: int, head: str, at: datetime) -> bytes:
    return json.dumps(["pixel-service ledger checkpoint", seq, head, at.isoformat()], separators=(",", ":")).encode()


class LedgerCheck:
    """The chain and its checkpoints together: takes entries in order of `seq`, raises `LedgerBroken` at the first entry
    that does not verify or that a checkpoint contradicts. `trusted` are public keys; one that is not is a stranger's."""

    def __init__(self, checkpoints: Iterable[Checkpoint], trusted: Collection[str]) -> None:
        self._chain = ChainCheck()
        self._ahead = {one.seq: one for one in checkpoints}
        self._trusted = trusted
        #: The last checkpoint that was met.
        self.covered: Checkpoint | None = None

    @property
    def entries(self) -> int:
        return self._chain.entries

    @property
    def head(self) -> str:
        return self._chain.head

    def add(self, entry: Entry) -> None:
        self._chain.add(entry)
        checkpoint = self._ahead.pop(entry.seq, None)
        if checkpoint is None:
            return
        self._judge(checkpoint)
        if checkpoint.head != entry.entry_hash:
            raise LedgerBroken(entry.seq, f"not the entry that was signed on {checkpoint.at:%Y-%m-%d %H:%M} UTC")
        self.covered = checkpoint

    def finish(self) -> None:
        """After the last entry: a checkpoint that is still ahead covers entries that are gone."""
        for seq in sorted(self._ahead):
            self._judge(self._ahead[seq])
            raise LedgerBroken(self.entries + 1, f"missing, a signed checkpoint covers {seq} entries")

    def _judge(self, checkpoint: Checkpoint) -> None:
        if not is_genuine(checkpoint):
            raise LedgerBroken(checkpoint.seq, "the signature of the checkpoint at this entry does not verify")
        if checkpoint.public_key not in self._trusted:
            raise LedgerBroken(checkpoint.seq, f"the checkpoint here is signed by a stranger, {checkpoint.public_key}")
