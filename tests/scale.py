"""How large the large tests are: the suite tries each promise at a size it can afford, `make prove` at the size that was promised."""

import os

FULL = os.environ.get("PIXEL_TEST_FULL") == "1"


def scaled(full: int, *, quick: int) -> int:
    return full if FULL else quick
