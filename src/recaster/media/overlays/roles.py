"""What each block of text is for: rules on place, size, time and a few signs. It changes no text.

The rules look at form before words, so that most of them hold in any language; the few words that are looked for stand in
`_ASKING` by language.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import regex

from recaster.media.overlays.model import OverlayRole, OverlayTrack
from recaster.media.video.model import VideoFacts

_ITEM = regex.compile(r"^\s*(?:\p{N}{1,2}\s*[.):]\s*\S|\p{N}\ufe0f?\u20e3|[-•–]\s+\S|#\p{N}+\b)")
_HANDLE = regex.compile(r"^\s*@[\p{L}\p{N}._]{2,30}\s*$")
_PLATFORM = regex.compile(r"^\s*(?:tiktok|capcut|instagram|snapchat|youtube(?: shorts)?)\W*$", regex.IGNORECASE)
_POINT_OF_VIEW = regex.compile(r"^\s*pov\b", regex.IGNORECASE)
_WAITING = regex.compile(r"^\s*(?:wait|espera|attends?|warte|espere)\b", regex.IGNORECASE)
_ASKING = regex.compile(
    r"^\s*(?:save|follow|share|comment|like|tag|send|link|try|download|tap|subscribe"
    r"|guarda|sigue|comparte|comenta|prueba|descarga|enlace"
    r"|enregistre|abonne|partage|commente|essaie|lien"
    r"|speicher|folge|teile|kommentier|probier|lade|link"
    r"|salva|segue|siga|compartilh|coment|experimente|baixe)",
    regex.IGNORECASE,
)
_CAPTION_SECONDS = 2.0


def starts_item(text: str) -> bool:
    """Tell whether a line begins a new entry of a list."""
    return _ITEM.match(text) is not None


def assign_roles(tracks: Sequence[OverlayTrack], facts: VideoFacts) -> tuple[OverlayTrack, ...]:
    """Return the tracks, which are in reading order, with their roles and their ids `ov1`, `ov2`, …"""
    hook = _hook(tracks, facts)
    return tuple(
        replace(track, id=f"ov{position + 1}", role=OverlayRole.HOOK if track is hook else _role(track, tracks, facts))
        for position, track in enumerate(tracks)
    )


def _hook(tracks: Sequence[OverlayTrack], facts: VideoFacts) -> OverlayTrack | None:
    """The line that makes one stay: there in the first second, in the upper half, the largest of those."""
    second = float(facts.average_rate)
    early = [
        track
        for track in tracks
        if track.first_frame <= second
        and track.last_frame - track.first_frame >= 0.5 * second
        and (track.box[1] + track.box[3]) / 2 < 0.5 * facts.height
        and not starts_item(track.text)
        and not _HANDLE.match(track.text)
    ]
    point_of_view = [track for track in early if _POINT_OF_VIEW.match(track.text)]
    return max(
        point_of_view or early,
        key=lambda track: (track.style.size * min(3.0, len(track.text) / 12), -track.box[1]),
        default=None,
    )


def _role(track: OverlayTrack, tracks: Sequence[OverlayTrack], facts: VideoFacts) -> OverlayRole:
    text = track.text.replace("\n", " ")
    if _HANDLE.match(text):
        return OverlayRole.HANDLE
    if _PLATFORM.match(text) or _is_mark(track, facts):
        return OverlayRole.WATERMARK
    if starts_item(text):
        return OverlayRole.LIST_ITEM
    if _ASKING.match(text):
        return OverlayRole.CALL_TO_ACTION
    if _WAITING.match(text):
        return OverlayRole.SUSPENSE
    if _is_caption(track, tracks, facts):
        return OverlayRole.CAPTION
    return OverlayRole.TEXT


def _is_mark(track: OverlayTrack, facts: VideoFacts) -> bool:
    """A mark is small, short, stands near the upper or lower edge to one side, and stays for the whole clip."""
    stays = track.last_frame - track.first_frame + 1 >= 0.9 * facts.frame_count
    small = track.style.size < 0.022 * facts.height and len(track.lines) == 1 and len(track.text) <= 24
    middle = (track.box[1] + track.box[3]) / 2 / facts.height
    aside = abs((track.box[0] + track.box[2]) / 2 - facts.width / 2) > 0.2 * facts.width
    return stays and small and aside and (middle < 0.1 or middle > 0.88)


def _is_caption(track: OverlayTrack, tracks: Sequence[OverlayTrack], facts: VideoFacts) -> bool:
    """A caption is short-lived, stands in the lower half or in a row of others, and takes turns with others in its place.

    A single one is known by its place and its kind: outlined type without a box, centred, where captions stand.
    """
    rate = float(facts.average_rate)

    def brief(one: OverlayTrack) -> bool:
        return one.last_frame - one.first_frame + 1 <= _CAPTION_SECONDS * rate

    def same_place(one: OverlayTrack) -> bool:
        return abs((one.box[1] + one.box[3]) - (track.box[1] + track.box[3])) < 2 * track.style.size

    def takes_turns(one: OverlayTrack) -> bool:
        return one.first_frame > track.last_frame or one.last_frame < track.first_frame

    if not brief(track):
        return False
    middle = (track.box[1] + track.box[3]) / 2 / facts.height
    others = sum(brief(one) and same_place(one) and takes_turns(one) for one in tracks if one is not track)
    if others >= 2 or (others == 1 and middle > 0.5):
        return True
    centred = abs((track.box[0] + track.box[2]) / 2 - facts.width / 2) < 0.06 * facts.width
    return centred and 0.6 < middle < 0.88 and track.style.slab is None and not track.offsets
