"""Passwords become argon2id hashes and are compared with them, off the event loop. Who asks is none of its business."""

import asyncio
import base64
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from pixel_service.domain.accounts import canonical_password
from pixel_service.domain.tokens import id_bytes
from pixel_service.usecases.context import Context

T = TypeVar("T")

#: argon2id, the first of OWASP's equally strong settings: 46 MiB, one pass, one lane, about 0.05 s of one core.
_HASHER = PasswordHasher(time_cost=1, memory_cost=46 * 1024, parallelism=1)
#: One at a time: a flood of log-ins takes one core and 46 MiB, and the pixel keeps the rest.
_HASHING = ThreadPoolExecutor(max_workers=1, thread_name_prefix="argon2")


def _unmatched_hash() -> str:
    """Costs what a real one costs to check, and nothing matches it."""
    nothing = [base64.b64encode(bytes(length)).decode().rstrip("=") for length in (16, _HASHER.hash_len)]
    costs = f"m={_HASHER.memory_cost},t={_HASHER.time_cost},p={_HASHER.parallelism}"
    return f"$argon2id$v=19${costs}${nothing[0]}${nothing[1]}"


UNMATCHED_HASH = _unmatched_hash()


async def hash_password(ctx: Context, password: str) -> str:
    salt = id_bytes(ctx.ids())
    return await _in_thread(lambda: _HASHER.hash(password, salt=salt))


async def verify_password(password_hash: str, password: str) -> bool:
    typed = canonical_password(password).encode(errors="replace")

    def matches() -> bool:
        try:
            return _HASHER.verify(password_hash, typed)
        except VerifyMismatchError:
            return False

    return await _in_thread(matches)


async def _in_thread(work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(_HASHING, work)
