"""Real files of every kind, made small."""

from __future__ import annotations

import io
import zipfile

from PIL import Image

SECRET = b"31.2397N"


def jpeg(colour: str = "red", *, size: tuple[int, int] = (64, 48), gps: bool = False) -> bytes:
    exif = Image.Exif()
    if gps:
        exif.get_ifd(0x8825).update({1: "N", 2: (31.0, 14.0, 22.9), 29: SECRET.decode()})
    body = io.BytesIO()
    Image.new("RGB", size, colour).save(body, "JPEG", exif=exif)
    return body.getvalue()


def archive(*names: str) -> bytes:
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as file:
        for name in names:
            file.writestr(name, "x" * 9000)
    return body.getvalue()


def image(format: str) -> bytes:
    body = io.BytesIO()
    Image.new("RGB", (64, 48), "red").save(body, format)
    return body.getvalue()


_OFFICE = "application/vnd.openxmlformats-officedocument."

TAKEN = {
    "image/jpeg": jpeg(),
    "image/png": image("PNG"),
    "image/webp": image("WEBP"),
    "image/gif": image("GIF"),
    "image/avif": image("AVIF"),
    "application/pdf": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<<>>\nendobj\n%%EOF\n",
    "audio/mpeg": b"ID3\x04\x00\x00\x00\x00\x00\x00" + b"\xff\xfb\x90\x64" + b"\0" * 400,
    "audio/mp4": b"\0\0\0\x20ftypM4A \0\0\2\0isomiso2" + b"\0" * 40,
    "video/mp4": b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41" + b"\0" * 40,
    # The part that tells them apart stands last, far behind the first block.
    f"{_OFFICE}wordprocessingml.document": archive("docProps/core.xml", "_rels/.rels", "word/document.xml"),
    f"{_OFFICE}spreadsheetml.sheet": archive("docProps/core.xml", "_rels/.rels", "xl/workbook.xml"),
    f"{_OFFICE}presentationml.presentation": archive("docProps/core.xml", "_rels/.rels", "ppt/presentation.xml"),
}

REFUSED = {
    "svg": b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
    "svg in xml": b"<?xml version='1.0'?>\n<svg xmlns='http://www.w3.org/2000/svg'/>",
    "html": b"<!doctype html><script>alert(1)</script>",
    "html before a picture": b"<script>alert(1)</script>" + image("PNG"),
    "text": b"Hello there",
    "archive": archive("photo.jpg", "notes.txt"),
    "macros": archive("word/document.xml", "word/vbaProject.bin"),
    "broken archive": archive("word/document.xml")[:4000],
    "program": b"MZ" + b"\0" * 300,
    "tiff": image("TIFF"),
}
