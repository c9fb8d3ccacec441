"""Environment variables that tell pixel libraries how to behave in a process of ours. They are read when a library is first
imported, so this module imports none of them."""

from __future__ import annotations

import os
from typing import Final

PIXEL_LIBRARIES: Final = {
    "OPENBLAS_NUM_THREADS": "1",
    "OPENCV_FOR_THREADS_NUM": "1",
    "OPENCV_LOG_LEVEL": "ERROR",
}
"""The pictures are small: threads of libraries cost a third more processor time waiting for each other than they save.
Decoder, pixels and encoder still work side by side, and stages beside each other. OpenCV's warnings are about its own
choice of engine and tell nobody anything."""


def prepare_libraries() -> None:
    """Set the variables in this process where whoever started it has not."""
    for name, value in PIXEL_LIBRARIES.items():
        os.environ.setdefault(name, value)
