"""The sound track as packets: it is compared and copied, never decoded or changed."""

from __future__ import annotations

import hashlib
from pathlib import Path

from recaster.media.video._container import complete_packets, open_input
from recaster.media.video.model import MediaLimits


def audio_digest(path: Path, *, limits: MediaLimits = MediaLimits()) -> str | None:
    """SHA-256 over the payloads of all packets of the first audio stream, in file order; None for a silent file.

    Two files with the same digest hold the same coded sound, whatever their containers are.

    Raises:
        MediaInvalid: the file cannot be read to its end.
    """
    with open_input(path, limits) as source:
        if not source.streams.audio:
            return None
        digest = hashlib.sha256()
        for packet in complete_packets(source, source.streams.audio[0]):
            digest.update(bytes(packet))
        return digest.hexdigest()
