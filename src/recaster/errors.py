"""The one error tree. Every error that a person may meet is a leaf of it; it imports nothing of the rest.

    RecasterError
    ├── InvalidInput                 a value given by a person or a client is wrong: names field, value and limit
    ├── MediaInvalid                 a file is not a video or picture that we may decode        job: MEDIA_INVALID
    ├── NoFaceFound                  nobody is on camera                                        job: NO_FACE_FOUND
    ├── FaceUnsuitable               the face is there, but cannot be swapped well              job: FACE_UNSUITABLE
    ├── InfluencerUnusable           the reference pictures do not make a persona               job: INFLUENCER_UNUSABLE
    ├── CopyRejected                 no acceptable text could be written                        job: COPY_REJECTED
    ├── OutputRejected               the finished video failed its own inspection               job: OUTPUT_REJECTED
    ├── ConsentMissing               the influencer is a person without a valid grant           job: CONSENT_MISSING
    ├── SourceUnavailable            the source could not be fetched after all tries            job: SOURCE_UNAVAILABLE
    ├── ModelMissing                 a model file is not installed or does not have its hash
    ├── LicenceRefused               a model's licence forbids commercial use and the operator did not name it
    ├── NotInstalled                 an optional part is not installed
    ├── Cancelled                    the work was cancelled by its owner
    └── ApiError (recaster.service.errors)   what only the HTTP service can answer: codes of the wire

It does not decide how an error is shown: `recaster.api` writes the envelope, `recaster.cli` the exit code.
"""

from __future__ import annotations

from typing import Any, ClassVar


class RecasterError(Exception):
    """Something went wrong that a person can understand and act on.

    `message` is a full sentence: what happened, what it means, what to do. `details` is JSON-serialisable.
    """

    code: ClassVar[str] = "INTERNAL"
    """Stable upper-case code, as it stands on the wire and in a failed job."""
    status: ClassVar[int] = 500
    """HTTP status when the error answers a request."""
    retryable: ClassVar[bool] = False
    """Whether the same call can succeed later without a change."""
    exit_code: ClassVar[int] = 1
    """Exit code of the command line (documented in docs/cli.md)."""

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.details: dict[str, Any] = details


class InvalidInput(RecasterError):
    """A value given by a person or a client is wrong. `details` holds `field`, `value` and `limit` where they exist."""

    code = "VALIDATION"
    status = 422
    exit_code = 2


class MediaInvalid(RecasterError):
    """A file is not a video, sound or picture that we may decode: broken, of a foreign kind, or beyond a limit."""

    code = "MEDIA_INVALID"
    status = 422
    exit_code = 3


class NoFaceFound(RecasterError):
    """Nobody is on camera in the clip."""

    code = "NO_FACE_FOUND"
    status = 422
    exit_code = 4


class FaceUnsuitable(RecasterError):
    """A face is on camera but cannot be swapped well: too small, turned away too far, hidden."""

    code = "FACE_UNSUITABLE"
    status = 422
    exit_code = 4


class InfluencerUnusable(RecasterError):
    """The reference pictures do not make a persona: no face, several faces, or different people."""

    code = "INFLUENCER_UNUSABLE"
    status = 422
    exit_code = 4


class CopyRejected(RecasterError):
    """No acceptable text could be written for one or more overlays. `details["lines"]` says which and what would help."""

    code = "COPY_REJECTED"
    status = 422
    exit_code = 5


class OutputRejected(RecasterError):
    """The finished video failed its own inspection. `details["checks"]` holds the failed measures with their limits."""

    code = "OUTPUT_REJECTED"
    status = 500
    exit_code = 6


class ConsentMissing(RecasterError):
    """The influencer is a real person and there is no valid grant for this use."""

    code = "CONSENT_MISSING"
    status = 409
    exit_code = 7


class SourceUnavailable(RecasterError):
    """The source video could not be fetched after all tries."""

    code = "SOURCE_UNAVAILABLE"
    status = 503
    retryable = True
    exit_code = 8


class ModelMissing(RecasterError):
    """A model file is not installed, or is there with another hash than the manifest declares."""

    exit_code = 9


class LicenceRefused(RecasterError):
    """A model's licence forbids commercial use, and the operator's settings do not name it as allowed."""

    exit_code = 9


class NotInstalled(RecasterError):
    """An optional part of the product is not installed. The message names the command that installs it."""

    exit_code = 9


class Cancelled(RecasterError):
    """The work was cancelled by its owner; nothing of it is kept."""

    exit_code = 130
