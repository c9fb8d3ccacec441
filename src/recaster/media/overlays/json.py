"""Overlay tracks to and from JSON, without loss. It writes no file."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter, ValidationError

from recaster.errors import InvalidInput
from recaster.media.overlays.model import OverlayTrack

SCHEMA = "recaster.overlays/1"

_TRACKS = TypeAdapter(tuple[OverlayTrack, ...])


def tracks_to_json(tracks: tuple[OverlayTrack, ...]) -> dict[str, Any]:
    """Turn tracks into plain JSON types."""
    return {"schema": SCHEMA, "tracks": _TRACKS.dump_python(tracks, mode="json")}


def tracks_from_json(document: dict[str, Any]) -> tuple[OverlayTrack, ...]:
    """Turn the JSON of `tracks_to_json` back into tracks.

    Raises:
        InvalidInput: the document has another schema, or a field is wrong; the message names it.
    """
    if document.get("schema") != SCHEMA:
        raise InvalidInput(
            f"These overlays have the schema {document.get('schema')!r}, this program reads {SCHEMA!r}. Read the clip again.",
            field="schema",
            value=document.get("schema"),
            limit=SCHEMA,
        )
    try:
        return _TRACKS.validate_python(document.get("tracks"))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in ("tracks", *first["loc"]))
        raise InvalidInput(f"The overlays are wrong at `{field}`: {first['msg']}.", field=field) from error
