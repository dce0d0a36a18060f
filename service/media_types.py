"""Which files are taken, told by their bytes and never by what a caller says of them."""

from __future__ import annotations

import zipfile
from pathlib import Path

import filetype

_OFFICE = "application/vnd.openxmlformats-officedocument."

# Media type to the extension that such a file is served under. SVG and HTML are missing on purpose: both run
# scripts. So are archives, in which nothing could be vouched for.
EXTENSIONS = {
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/webp": "webp",
    "image/gif": "gif",
    "image/avif": "avif",
    "application/pdf": "pdf",
    "audio/mpeg": "mp3",
    "audio/mp4": "m4a",
    "video/mp4": "mp4",
    f"{_OFFICE}wordprocessingml.document": "docx",
    f"{_OFFICE}spreadsheetml.sheet": "xlsx",
    f"{_OFFICE}presentationml.presentation": "pptx",
}

_OFFICE_PARTS = {
    "word/document.xml": f"{_OFFICE}wordprocessingml.document",
    "xl/workbook.xml": f"{_OFFICE}spreadsheetml.sheet",
    "ppt/presentation.xml": f"{_OFFICE}presentationml.presentation",
}


def sniff(path: Path) -> str | None:
    """The media type of the file, if it is one of those that are taken."""
    found = filetype.guess_mime(str(path))
    if found == "application/zip" or str(found).startswith(_OFFICE):
        found = _sniff_office(path)
    # An animated PNG is a PNG (W3C PNG, third edition).
    found = "image/png" if found == "image/apng" else found
    return found if found in EXTENSIONS else None


def _sniff_office(path: Path) -> str | None:
    """What the archive really holds: the order of its first entries proves nothing. Macros are refused."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        return None
    if any(name.endswith("vbaProject.bin") for name in names):
        return None
    return next((media_type for part, media_type in _OFFICE_PARTS.items() if part in names), None)


def is_image(media_type: str) -> bool:
    return media_type.startswith("image/")


def is_shown_inline(media_type: str) -> bool:
    """Whether browsers show it by themselves; the rest is offered for download."""
    return media_type.split("/")[0] in ("image", "audio", "video") or media_type == "application/pdf"
