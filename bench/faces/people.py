"""The synthetic people that the benches use: openpeople P006 and P007, and some others to tell them from."""

from __future__ import annotations

from importlib.metadata import distribution
from pathlib import Path

import cv2
import numpy as np

from recaster.media.video import Image

PEOPLE = Path(str(distribution("openpeople").locate_file("openpeople/data/curated")))
PICTURES = ("studio_portrait.jpg", "amateur_selfie.jpg", "character_sheet.jpg", "emotions_sheet.jpg")
OTHERS = ("P001", "P002", "P005", "P006", "P007", "P008", "P009")
"""P004 and P010 look like P006; P003 is left out everywhere."""


def picture_of(name: str, file: str = "studio_portrait.jpg") -> Image:
    """One picture of a person, BGR."""
    return np.asarray(cv2.imread(str(PEOPLE / name / "assets" / file)), np.uint8)
