"""Which colour matrix a stream is read and written with. Pure decisions about tags; no pixel is touched here.

Files without tags are common. What their numbers mean is decided by what viewers see: browsers and players read
untagged pictures of at least 720 coded lines as BT.709 and smaller ones as BT.601 (Chromium's rule; FFmpeg's own scaler
always takes BT.601, which shifts the colours of untagged HD clips). An output always carries tags, and carries those
with which it was made, so that every player shows it alike. Pixels that nobody changed keep their code values whatever
the guess was, because reading and writing use the same matrix.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from recaster.media.video.model import ColorTags, VideoFacts

UNSPECIFIED = 2
BT709 = 1
BT601 = 6
BT2020 = 9
_HD_LINES = 720
# H.273 matrix code point -> number of the coefficient table of swscale (its SWS_CS_* constants).
_SCALER_TABLE = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9}
# Weights of red and blue in luma by matrix code point.
_LUMA_WEIGHTS = {
    1: (0.2126, 0.0722),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
}


def matrix_for_reading(tags: ColorTags, coded_height: int) -> int:
    """Matrix code point (ITU-T H.273) with which YCbCr pictures of a stream are turned into BGR.

    `coded_height` is the number of lines before rotation. Matrices that an 8-bit 4:2:0 output cannot carry (RGB, YCgCo,
    constant-luminance BT.2020 …) are answered by BT.709 or BT.601 like untagged files.
    """
    if tags.matrix in _SCALER_TABLE:
        return tags.matrix
    return BT709 if coded_height >= _HD_LINES else BT601


def scaler_table(matrix: int) -> int:
    """Coefficient table of swscale for a matrix code point from `matrix_for_reading`."""
    return _SCALER_TABLE[matrix]


@lru_cache(maxsize=8)
def bgr_from_ycc(matrix: int, *, full_range: bool) -> NDArray[np.float32]:
    """Affine map from 8-bit (Y, Cb, Cr) to (B, G, R), shape (3, 4), for a matrix code point from `matrix_for_reading`.

    Coefficients: ITU-T H.273, table 4; ranges: its equations 20 to 25.
    """
    red, blue = _LUMA_WEIGHTS[matrix]
    green = 1 - red - blue
    luma, chroma = (1.0, 1.0) if full_range else (255 / 219, 255 / 224)
    turn = np.array(
        [
            [luma, 2 * (1 - blue) * chroma, 0],
            [luma, -2 * (1 - blue) * blue / green * chroma, -2 * (1 - red) * red / green * chroma],
            [luma, 0, 2 * (1 - red) * chroma],
        ]
    )
    zero = np.array([0 if full_range else 16, 128, 128])
    return np.asarray(np.column_stack([turn, -turn @ zero]), np.float32)


@lru_cache(maxsize=8)
def ycc_from_bgr(matrix: int, *, full_range: bool) -> NDArray[np.float32]:
    """The way back of `bgr_from_ycc`: affine map from 8-bit (B, G, R) to (Y, Cb, Cr), shape (3, 4)."""
    there = bgr_from_ycc(matrix, full_range=full_range).astype(np.float64)
    back = np.linalg.inv(there[:, :3])
    return np.asarray(np.column_stack([back, -back @ there[:, 3]]), np.float32)


def tags_for_writing(facts: VideoFacts) -> ColorTags:
    """Complete tags for an output made from such a source: the source's own, gaps filled from its matrix."""
    coded_height = facts.width if facts.rotation in (90, 270) else facts.height
    matrix = matrix_for_reading(facts.color, coded_height)
    # Primaries and transfer that go with a matrix when a file does not say: BT.601 material is SMPTE 170M.
    implied = {1: (1, 1), 9: (9, 14)}.get(matrix, (6, 6))
    primaries, transfer = facts.color.primaries, facts.color.transfer
    return ColorTags(
        primaries=primaries if primaries not in (0, UNSPECIFIED) else implied[0],
        transfer=transfer if transfer not in (0, UNSPECIFIED) else implied[1],
        matrix=matrix,
        full_range=facts.color.full_range,
    )
