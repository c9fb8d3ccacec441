"""Video files: measure, read, write, cut into shots. Exact times, right colours, bounded memory."""

from recaster.media.video.color import matrix_for_reading, tags_for_writing
from recaster.media.video.model import (
    AudioFacts,
    ColorTags,
    EncoderSettings,
    Frame,
    Image,
    Luma,
    LumaFrame,
    Mask,
    MediaLimits,
    Shot,
    VideoFacts,
)
from recaster.media.video.probe import probe
from recaster.media.video.reader import FrameReader, read_chosen, read_frames, read_luma, read_proxies, read_times
from recaster.media.video.shots import find_shots
from recaster.media.video.sound import audio_digest
from recaster.media.video.writer import MP4_AUDIO_CODECS, VideoWriter, encoded_size

__all__ = [
    "MP4_AUDIO_CODECS",
    "AudioFacts",
    "ColorTags",
    "EncoderSettings",
    "Frame",
    "FrameReader",
    "Image",
    "Luma",
    "LumaFrame",
    "Mask",
    "MediaLimits",
    "Shot",
    "VideoFacts",
    "VideoWriter",
    "audio_digest",
    "encoded_size",
    "find_shots",
    "matrix_for_reading",
    "probe",
    "read_chosen",
    "read_frames",
    "read_luma",
    "read_proxies",
    "read_times",
    "tags_for_writing",
]
