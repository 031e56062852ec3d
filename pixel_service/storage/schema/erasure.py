"""What is left of people who had themselves erased: nothing that can be read without the service's secret keys (R12).

No foreign keys: these rows begin where the person's row ends.
"""

from sqlalchemy import Column, LargeBinary, String, Table

from pixel_service.storage.columns import Moment, id_type
from pixel_service.storage.schema.naming import metadata

#: The proof of an erased person's consents, locked away; see `domain/sealed_evidence.py`.
sealed_evidence = Table(
    "sealed_evidence",
    metadata,
    #: As in the ledger, which keeps the hashes that the content is checked against.
    Column("subscriber_id", id_type(), primary_key=True),
    #: Keyed, so that only somebody who knows the address finds the row by it.
    Column("address_hash", String(64), nullable=False, index=True),
    Column("sealed_at", Moment, nullable=False),
    Column("ends_at", Moment, nullable=False, index=True),
    #: AES-256-SIV under a key of `PIXEL_SECRET_KEYS`.
    Column("data", LargeBinary, nullable=False),
)


#: Whom no import may bring back (E9): erased, moved, or ended what a restored backup does not know of. The row goes when the person confirms a new sign-up.
erased_addresses = Table(
    "erased_addresses",
    metadata,
    #: The same keyed hash.
    Column("address_hash", String(64), primary_key=True),
    Column("erased_at", Moment, nullable=False),
)
