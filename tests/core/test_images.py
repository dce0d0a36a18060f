"""Pictures are written anew: they look the same, and tell nothing of where and by whom they were taken."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageCms, ImageDraw
from PIL.PngImagePlugin import PngInfo

from service.errors import Invalid
from service.images import FORMATS, MOST_PIXELS, clean_image

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
TOP_RIGHT_OF_A_TURNED_CAMERA = 6
SECRET = "31.2397N"


def camera_data() -> Image.Exif:
    """GPS, the maker's name, and an orientation that asks for a quarter turn."""
    exif = Image.Exif()
    exif[0x0112] = TOP_RIGHT_OF_A_TURNED_CAMERA
    exif[0x010F] = SECRET
    exif.get_ifd(0x8825).update({1: "N", 2: (31.0, 14.0, 22.9), 3: "E", 4: (121.0, 29.0, 9.2), 29: SECRET})
    return exif


def picture(width: int = 60, height: int = 40) -> Image.Image:
    """Red, with blue in the upper left corner of what the camera saw."""
    image = Image.new("RGB", (width, height), "red")
    ImageDraw.Draw(image).rectangle((0, 0, width // 4, height // 4), fill="blue")
    return image


def loaded(format: str) -> dict[str, Any]:
    """Everything that a file of this format can tell beside its pixels."""
    xmp = f"<x:xmpmeta>{SECRET}</x:xmpmeta>".encode()
    text = PngInfo()
    text.add_text("Author", SECRET)
    text.add_itxt("XML:com.adobe.xmp", SECRET)
    common = {"exif": camera_data(), "icc_profile": SRGB}
    return {
        "JPEG": {**common, "xmp": xmp, "comment": SECRET.encode(), "quality": 95},
        "PNG": {**common, "pnginfo": text},
        "WEBP": {**common, "xmp": xmp},
        "AVIF": {**common, "xmp": xmp},
        "GIF": {"comment": SECRET.encode()},
        "MPO": {**common, "save_all": True, "append_images": [picture()]},
    }[format]


def save(path: Path, format: str, image: Image.Image | None = None, **options: Any) -> Path:
    (image or picture()).save(path, format, **options)
    return path


def read(body: bytes) -> Any:
    image = Image.open(io.BytesIO(body))
    image.load()
    return image


TYPES = {format: media_type for media_type, format in FORMATS.items()} | {"MPO": "image/jpeg"}


@pytest.mark.parametrize("format", TYPES)
def test_nothing_of_the_camera_s_data_is_left(tmp_path: Path, format: str) -> None:
    path = save(tmp_path / "x", format, **loaded(format))
    assert SECRET.encode() in path.read_bytes()
    clean = clean_image(path, TYPES[format])
    assert SECRET.encode() not in clean.body
    assert b"Exif" not in clean.body and b"http://ns.adobe.com" not in clean.body
    assert not read(clean.body).getexif()


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "AVIF", "MPO"])
def test_the_picture_stands_upright_and_keeps_its_colours(tmp_path: Path, format: str) -> None:
    clean = clean_image(save(tmp_path / "x", format, **loaded(format)), TYPES[format])
    image = read(clean.body)
    assert (clean.width, clean.height) == image.size == (40, 60)
    assert image.info.get("icc_profile") == SRGB
    [red, _, blue] = image.convert("RGB").getpixel((39, 0))
    assert blue > 200 > 60 > red, "turned by a quarter, the blue corner stands on the right"


def test_a_picture_s_lines_stay_as_fine_as_they_were(tmp_path: Path) -> None:
    """The camera's own quantisation: neither blurred nor blown up."""
    noise = Image.effect_noise((200, 200), 80).convert("RGB")
    path = save(tmp_path / "x", "JPEG", noise, quality=93, subsampling=0)
    clean = clean_image(path, "image/jpeg")
    assert read(clean.body).quantization == read(path.read_bytes()).quantization
    assert len(clean.body) < 1.1 * path.stat().st_size
    difference = ImageChops.difference(read(clean.body), read(path.read_bytes())).convert("L")
    assert max(difference.getextrema()) < 8


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_grey_and_printers_colours_are_taken(tmp_path: Path, mode: str) -> None:
    path = save(tmp_path / "x", "JPEG", picture().convert(mode))
    assert read(clean_image(path, "image/jpeg").body).mode == mode


@pytest.mark.parametrize("format", ["PNG", "GIF", "WEBP"])
def test_what_is_transparent_stays_so(tmp_path: Path, format: str) -> None:
    image = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    image.paste((255, 0, 0, 255), (0, 0, 4, 8))
    clean = read(clean_image(save(tmp_path / "x", format, image), TYPES[format]).body).convert("RGBA")
    assert (clean.getpixel((1, 1))[3], clean.getpixel((6, 6))[3]) == (255, 0)


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "AVIF"])
def test_an_animation_keeps_its_frames_and_their_times(tmp_path: Path, format: str) -> None:
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("red", "lime", "blue")]
    options = {"save_all": True, "append_images": frames[1:], "duration": [100, 200, 300]}
    image = read(clean_image(save(tmp_path / "x", format, frames[0], **options), TYPES[format]).body)
    seen = []
    for number in range(image.n_frames):
        image.seek(number)
        image.load()
        red, green, blue = image.convert("RGB").getpixel((16, 16))
        seen.append(("red", "lime", "blue")[(red, green, blue).index(max(red, green, blue))])
    assert seen == ["red", "lime", "blue"]
    if format in ("GIF", "PNG"):
        times = []
        for number in range(3):
            image.seek(number)
            times.append(image.info["duration"])
        assert times == [100, 200, 300]


def test_no_frame_shines_through_the_next(tmp_path: Path) -> None:
    frames = []
    for left in (0, 16):
        frames.append(Image.new("RGBA", (32, 32), (0, 0, 0, 0)))
        frames[-1].paste((255, 0, 0, 255), (left, 0, left + 16, 32))
    options = {"save_all": True, "append_images": frames[1:], "duration": 100, "disposal": 2}
    image = read(clean_image(save(tmp_path / "x", "GIF", frames[0], **options), "image/gif").body)
    image.seek(1)
    assert [image.convert("RGBA").getpixel((x, 9))[3] for x in (4, 20)] == [0, 255]


def huge_png(side: int) -> bytes:
    """A few bytes that claim to be side x side pixels."""
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    data = zlib.compress(b"\0" * 99)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def codes(path: Path, media_type: str) -> list[str]:
    with pytest.raises(Invalid) as caught:
        clean_image(path, media_type)
    return [fault.code for fault in caught.value.faults]


@pytest.mark.parametrize("side", [int(MOST_PIXELS**0.5) + 1, 10_000, 60_000])
def test_a_decompression_bomb_is_refused_before_it_goes_off(tmp_path: Path, side: int) -> None:
    path = tmp_path / "x"
    path.write_bytes(huge_png(side))
    assert codes(path, "image/png") == ["too_many_pixels"]


def test_an_animation_of_very_many_tiny_frames_is_refused(tmp_path: Path) -> None:
    frames = [Image.new("L", (1, 1), number % 256) for number in range(1100)]
    path = save(tmp_path / "x", "GIF", frames[0], save_all=True, append_images=frames[1:], duration=10)
    assert codes(path, "image/gif") == ["too_many_pixels"]


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "AVIF", "GIF"])
def test_a_picture_cut_short_is_refused(tmp_path: Path, format: str) -> None:
    path = save(tmp_path / "x", format, Image.effect_noise((120, 90), 90).convert("RGB"))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert codes(path, TYPES[format]) == ["broken_image"]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(format=st.sampled_from(sorted(FORMATS.values())), data=st.data())
def test_a_broken_picture_is_taken_or_refused_but_never_crashes(tmp_path: Path, format: str, data: Any) -> None:
    path = save(tmp_path / "x", format, **loaded(format))
    body = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(body[: data.draw(st.integers(1, len(body)))])
    try:
        clean = clean_image(path, TYPES[format])
    except Invalid as error:
        assert error.faults
    else:
        assert read(clean.body).size == (clean.width, clean.height)
