"""The brand logo, made small enough for a mail by Pillow."""

from io import BytesIO
from pathlib import Path

from PIL import Image

from pixel_service.domain.errors import InvalidInput

#: Twice the largest size it is shown at, for dense screens.
_MAX_SIZE = (480, 128)
_MAX_FILE = 5_000_000


def prepare_logo(path: Path) -> bytes:
    """A PNG of at most 480x128 pixels. Raises `InvalidInput` naming what is wrong with the file."""
    try:
        if path.stat().st_size > _MAX_FILE:
            raise InvalidInput("logo_file", f"larger than {_MAX_FILE // 1_000_000} MB")
        with Image.open(path) as image:
            image.thumbnail(_MAX_SIZE)
            small = image.convert("RGBA")
    except (OSError, Image.DecompressionBombError) as error:
        raise InvalidInput("logo_file", "not an image that can be read") from error
    png = BytesIO()
    small.save(png, "PNG", optimize=True)
    return png.getvalue()
