"""Burned-in text of short videos: find, read, describe, erase and draw."""

from recaster.media.overlays._fill import Fill, push_pull
from recaster.media.overlays.draw import SkiaTextDrawer, TextDrawer
from recaster.media.overlays.erase import EraserSettings, TemporalEraser, TextEraser
from recaster.media.overlays.inpainting import FillNetwork
from recaster.media.overlays.json import tracks_from_json, tracks_to_json
from recaster.media.overlays.layout import DoesNotFit, FitReport, SafeZone, TextLayout
from recaster.media.overlays.model import (
    Animation,
    Box,
    OverlayEmoji,
    OverlayLine,
    OverlayRole,
    OverlayTrack,
    Point,
    Shadow,
    Slab,
    Stroke,
    TextStyle,
)
from recaster.media.overlays.networks import TextModels
from recaster.media.overlays.reader import TextReader
from recaster.media.overlays.reading import RapidTextReader, ReaderSettings
from recaster.media.overlays.restore import NewText, erase_clip, lay_out_in_place, reset_clip
from recaster.media.overlays.tesseract import ScriptReader, ScriptReading, TesseractReader, find_tesseract
from recaster.media.overlays.timing import Appearance, appearance

__all__ = [
    "Animation",
    "Appearance",
    "Box",
    "DoesNotFit",
    "EraserSettings",
    "Fill",
    "FillNetwork",
    "FitReport",
    "NewText",
    "OverlayEmoji",
    "OverlayLine",
    "OverlayRole",
    "OverlayTrack",
    "Point",
    "RapidTextReader",
    "ReaderSettings",
    "SafeZone",
    "ScriptReader",
    "ScriptReading",
    "Shadow",
    "SkiaTextDrawer",
    "Slab",
    "Stroke",
    "TemporalEraser",
    "TesseractReader",
    "TextDrawer",
    "TextEraser",
    "TextLayout",
    "TextModels",
    "TextReader",
    "TextStyle",
    "appearance",
    "erase_clip",
    "find_tesseract",
    "lay_out_in_place",
    "push_pull",
    "reset_clip",
    "tracks_from_json",
    "tracks_to_json",
]
