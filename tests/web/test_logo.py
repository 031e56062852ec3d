"""Pillow makes the logo small, and proves the pixel."""

from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from pixel_service.domain.errors import InvalidInput
from pixel_service.web.logo import prepare_logo
from pixel_service.web.pixel import GIF


def test_a_large_logo_becomes_a_small_png_of_the_same_shape(tmp_path: Path) -> None:
    file = tmp_path / "logo.jpg"
    Image.new("RGB", (2000, 400), "#0b5fa5").save(file)
    with Image.open(BytesIO(prepare_logo(file))) as small:
        assert (small.format, small.size) == ("PNG", (480, 96))


@pytest.mark.parametrize("content", [b"", b"<svg/>", b"\x89PNG\r\n\x1a\n broken"])
def test_what_is_no_image_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "logo.png"
    file.write_bytes(content)
    with pytest.raises(InvalidInput, match="logo_file: not an image"):
        prepare_logo(file)


def test_a_missing_or_huge_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="not an image that can be read"):
        prepare_logo(tmp_path / "missing.png")
    huge = tmp_path / "huge.png"
    huge.write_bytes(b"x" * 5_000_001)
    with pytest.raises(InvalidInput, match="larger than 5 MB"):
        prepare_logo(huge)


def test_the_pixel_is_one_transparent_point_and_43_bytes() -> None:
    assert len(GIF) == 43
    with Image.open(BytesIO(GIF)) as image:
        assert (image.format, image.size) == ("GIF", (1, 1))
        assert image.convert("RGBA").getpixel((0, 0))[3] == 0  # type: ignore[index]  # RGBA has four bands
