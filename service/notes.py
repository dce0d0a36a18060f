"""What partners are told of a correction: the notes of every revision that came to be public with it. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from service.config import Profile
from service.model import Release
from service.text import join_remarks


def notes_by_language(release: Release) -> dict[str, str]:
    """Language tag to all notes in that language, as one text, the oldest first."""
    notes = _notes(release)
    tags = dict.fromkeys(tag for note in notes for tag in note)
    return {tag: join_remarks([note[tag] for note in notes if tag in note], tag) for tag in tags}


def notes_in(release: Release, tag: str, profile: Profile) -> str:
    """All notes as one text, each in this language where it was written in it, else in another."""
    return join_remarks([profile.text_in(note, tag) for note in _notes(release)], tag)


def _notes(release: Release) -> list[Mapping[str, str]]:
    return [note for note in (*release.earlier_notes, release.change_note) if note]
