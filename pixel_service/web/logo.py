"""The brand logo, made small enough for a mail by Pillow."""

from io import BytesIO
from pathlib import Path

from PIL import Image

#: Twice the largest size it is shown at, for dense screens.
_MAX_SIZE = (480, 128)
_MAX_FILE = 5_000_000


def prepare_logo(path: Path) -> bytes:
    """A PNG of at most 480x128 pixels. Raises `ValueError` naming what is wrong with the file."""
    if path.stat().st_size > _MAX_FILE:
        raise ValueError(f"logo: {path.name} is larger than {_MAX_FILE // 1_000_000} MB")
    try:
        with Image.open(path) as image:
            image.thumbnail(_MAX_SIZE)
            small = image.convert("RGBA")
    except (OSError, Image.DecompressionBombError) as error:
        raise ValueError(f"logo: {path.name} is not an image") from error
    png = BytesIO()
    small.save(png, "PNG", optimize=True)
    return png.getvalue()
