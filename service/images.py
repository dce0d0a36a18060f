"""Pictures decoded in full and written anew: upright, with their colours, and with nothing else of the camera's."""

from __future__ import annotations

import io
import itertools
import logging
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps, ImageSequence, JpegImagePlugin

from service.errors import Fault, Invalid

log = logging.getLogger(__name__)

# Any camera of today; decoded, each pixel takes four bytes. An animation counts all its frames.
MOST_PIXELS = 64_000_000
# What a frame costs beside its pixels, so that a million tiny ones don't pass.
_LEAST_FRAME = 65_536

FORMATS = {"image/jpeg": "JPEG", "image/png": "PNG", "image/webp": "WEBP", "image/gif": "GIF", "image/avif": "AVIF"}
# All that decides how the pixels look; text, thumbnails, GPS and serial numbers stand elsewhere in `info`.
_KEPT = ("icc_profile", "transparency", "duration", "loop")
_OPTIONS: dict[str, dict[str, Any]] = {
    "JPEG": {"optimize": True},
    "PNG": {},
    "WEBP": {"quality": 90},
    # Each frame is whole here, so none may show through the next.
    "GIF": {"disposal": 2},
    "AVIF": {"quality": 85, "speed": 8},
}

_one_at_a_time = threading.Lock()


@dataclass(frozen=True, slots=True)
class CleanImage:
    body: bytes
    width: int
    height: int


def clean_image(path: Path, media_type: str) -> CleanImage:
    """The picture anew, in the format that it has. Raises Invalid where it is damaged or too large to decode."""
    with _one_at_a_time:
        try:
            return _rewrite(path, FORMATS[media_type])
        except Invalid:
            raise
        except (Image.DecompressionBombError, Image.DecompressionBombWarning):
            raise _too_large() from None
        except Exception as error:
            # Decoders raise whatever a hostile file makes them stumble over.
            log.info("a picture can't be decoded: %r", error)
            raise Invalid([Fault(pointer="", code="broken_image")]) from error


def _rewrite(path: Path, format: str) -> CleanImage:
    with Image.open(path, formats=[format]) as image:
        # A telephone's JPEG may hold further pictures behind the one that is meant (MPO).
        count = 1 if format == "JPEG" else getattr(image, "n_frames", 1)
        if max(image.width * image.height, _LEAST_FRAME) * count > MOST_PIXELS:
            raise _too_large()
        options = _OPTIONS[format] | (_jpeg_options(image) if format == "JPEG" else {})
        first, *rest = (_bare(frame) for frame in itertools.islice(ImageSequence.Iterator(image), count))
    if rest:
        options |= {"save_all": True, "append_images": rest, "loop": first.info.get("loop", 1)}
        options["duration"] = [frame.info.get("duration", 100) for frame in (first, *rest)]
    body = io.BytesIO()
    first.save(body, format, icc_profile=first.info.get("icc_profile"), **options)
    return CleanImage(body.getvalue(), first.width, first.height)


def _bare(frame: Image.Image) -> Image.Image:
    upright = ImageOps.exif_transpose(frame)
    upright.info = {name: frame.info[name] for name in _KEPT if name in frame.info}
    return upright


def _jpeg_options(image: Any) -> dict[str, Any]:
    """As finely as the camera wrote it, no finer and no coarser."""
    return {
        "qtables": image.quantization,
        "subsampling": JpegImagePlugin.get_sampling(image),
        "progressive": "progressive" in image.info,
    }


def _too_large() -> Invalid:
    return Invalid([Fault(pointer="", code="too_many_pixels", params={"limit": MOST_PIXELS // 1_000_000})])
