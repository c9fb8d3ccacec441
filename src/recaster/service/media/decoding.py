"""Examines files of strangers in a locked-up child process, so that a file which breaks a decoder breaks nothing else.

What a file is, `recaster.service.media.inspection` finds out; this module takes it into the child and back. A child that
dies, or needs more memory or time than it is given, is an answer as well: the file is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any, Final

from recaster.errors import MediaInvalid
from recaster.infra.child import ChildReport, StageCrashed, run_in_child
from recaster.infra.sandbox import SandboxPolicy
from recaster.infra.settings import Settings
from recaster.media.video.model import MediaLimits
from recaster.service.media.inspection import InspectionLimits, MediaFacts, UploadedFile, inspect

SECONDS: Final = 30.0
"""Wall time that one file may take; generous, because the machine may be busy."""
CPU_SECONDS: Final = 10
"""Processor time that one file may take."""


class FileExaminer:
    """Says what a file is, or refuses it, without decoding a byte of it in this process."""

    def __init__(self, settings: Settings, observe: Callable[[ChildReport], None] = lambda report: None) -> None:
        """`observe` is told how each child fared."""
        self._settings = settings
        self._observe = observe

    def __call__(self, file: UploadedFile) -> MediaFacts:
        """Examine `file`.

        Raises:
            UnsupportedMediaType, PayloadTooLarge, MediaInvalid: as `recaster.service.media.inspection.inspect` says.
            IsolationMissing: the isolation does not hold and the settings ask for `strict`.
        """
        settings = self._settings
        path = file.path.absolute()
        request = {
            "path": str(path),
            "sizeBytes": file.size_bytes,
            "sha256": file.checksum_sha256,
            "imageBytes": settings.max_image_bytes,
            "videoBytes": settings.max_video_bytes,
            "imagePixels": settings.max_image_pixels,
            "videoSeconds": settings.max_video_seconds,
        }
        policy = SandboxPolicy(
            readable=(str(path),),
            memory_bytes=settings.probe_memory_bytes,
            cpu_seconds=CPU_SECONDS,
            file_bytes=0,
            open_files=64,
            strict=settings.isolation == "strict",
        )
        try:
            facts = run_in_child(
                "recaster.service.media.decoding:examine_in_child",
                request,
                sandbox=policy,
                seconds=SECONDS,
                environment={"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
                observe=self._observe,
            )
        except StageCrashed as error:
            raise MediaInvalid(
                "The file could not be examined: the decoder broke down on it, or needed more memory or time than a "
                "short clip does. It was not kept. Export it again with another program.",
                field="file",
                value=type(error).__name__,
            ) from error
        return MediaFacts(**facts)


def examine_in_child(request: Mapping[str, Any], progress: object) -> dict[str, Any]:
    """The child's side of `FileExaminer`."""
    # Here, not above: a process that only asks needs no decoder.
    from recaster.media.video.probe import probe

    limits = InspectionLimits(
        image_bytes=request["imageBytes"], video_bytes=request["videoBytes"], image_pixels=request["imagePixels"]
    )
    media_limits = MediaLimits(size_bytes=request["videoBytes"], duration=Fraction(request["videoSeconds"]))
    file = UploadedFile(Path(request["path"]), request["sizeBytes"], request["sha256"])
    facts = inspect(file, limits, partial(probe, limits=media_limits))
    return {
        "kind": facts.kind,
        "mime_type": facts.mime_type,
        "width": facts.width,
        "height": facts.height,
        "duration_ms": facts.duration_ms,
    }
