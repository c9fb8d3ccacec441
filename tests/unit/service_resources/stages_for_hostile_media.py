"""Examines many files in one locked-up child; run by `test_resources_hostile_media.py`."""

from functools import partial
from pathlib import Path

from recaster.errors import RecasterError
from recaster.media.video.model import MediaLimits
from recaster.media.video.probe import probe
from recaster.service.media.inspection import InspectionLimits, UploadedFile, inspect


def inspect_all(request, progress):
    limits = InspectionLimits(image_bytes=10**7, video_bytes=10**8, image_pixels=10**7)
    answers = []
    for name in request["files"]:
        path = Path(name)
        try:
            inspect(UploadedFile(path, path.stat().st_size, ""), limits, partial(probe, limits=MediaLimits()))
        except RecasterError as error:
            answers.append(error.code)
        else:
            answers.append("accepted")
    return {"answers": answers}
