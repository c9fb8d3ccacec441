"""What `probe` finds out, and what it refuses before anything is decoded."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from video_clips import make_clip

from recaster.errors import MediaInvalid
from recaster.media.video import MediaLimits, probe, read_frames

pytestmark = pytest.mark.unit

ONE = 65536
TURNS = {
    90: (0, ONE, 0, -ONE, 0, 0, 0, 0, 1 << 30),
    180: (-ONE, 0, 0, 0, -ONE, 0, 0, 0, 1 << 30),
    270: (0, -ONE, 0, ONE, 0, 0, 0, 0, 1 << 30),
}


def refused(path: Path, limits: MediaLimits = MediaLimits()) -> MediaInvalid:
    with pytest.raises(MediaInvalid) as caught:
        probe(path, limits)
    assert "field" in caught.value.details
    return caught.value


@pytest.mark.parametrize(
    ("rate", "time_base"),
    [
        (Fraction(24), Fraction(1, 12288)),
        (Fraction(25), Fraction(1, 12800)),
        (Fraction(30000, 1001), Fraction(1, 30000)),
        (Fraction(60), Fraction(1, 90000)),
    ],
)
def test_rate_and_duration_are_exact(tmp_path: Path, rate: Fraction, time_base: Fraction) -> None:
    facts = probe(make_clip(tmp_path / "clip.mp4", frames=13, rate=rate, time_base=time_base))
    assert facts.frame_count == 13
    assert facts.duration == 13 / rate
    assert facts.average_rate == rate
    assert not facts.variable_rate
    assert (facts.width, facts.height, facts.rotation, facts.audio) == (90, 160, 0, None)


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_display_matrix_turns_size_and_pictures(tmp_path: Path, rotation: int) -> None:
    path = make_clip(tmp_path / "clip.mp4", frames=2, display_matrix=TURNS[rotation])
    facts = probe(path)
    assert facts.rotation == rotation
    assert (facts.width, facts.height) == ((90, 160) if rotation == 180 else (160, 90))
    upright = make_clip(tmp_path / "plain.mp4", frames=2)
    for turned, plain in zip(read_frames(path), read_frames(upright), strict=True):
        assert turned.image.shape == (facts.height, facts.width, 3)
        # 90 degrees clockwise puts the coded top left corner at the top right.
        corner = {90: turned.image[0, -1], 180: turned.image[-1, -1], 270: turned.image[-1, 0]}[rotation]
        assert (corner == plain.image[0, 0]).all()
        assert (np.rot90(turned.image, rotation // 90) == plain.image).all()


def test_mirrored_matrix_is_applied(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.mp4", frames=1, display_matrix=(-ONE, 0, 0, 0, ONE, 0, 0, 0, 1 << 30))
    facts = probe(path)
    assert (facts.rotation, facts.mirrored) == (0, True)
    plain = next(read_frames(make_clip(tmp_path / "plain.mp4", frames=1)))
    assert (next(read_frames(path)).image[:, ::-1] == plain.image).all()


def test_slanted_matrix_is_refused(tmp_path: Path) -> None:
    slanted = (46341, 46341, 0, -46341, 46341, 0, 0, 0, 1 << 30)
    assert refused(make_clip(tmp_path / "clip.mp4", frames=1, display_matrix=slanted)).details["field"] == "rotation"


def test_variable_rate_is_seen(tmp_path: Path) -> None:
    facts = probe(make_clip(tmp_path / "clip.mp4", frames=5, pts=[0, 1001, 3003, 3500, 6000], options={"bf": "0"}))
    assert facts.variable_rate
    assert facts.frame_count == 5


def test_rounding_of_a_coarse_time_base_is_not_variable(tmp_path: Path) -> None:
    facts = probe(make_clip(tmp_path / "clip.mkv", frames=24, time_base=Fraction(1, 1000)))
    assert facts.container == "matroska"
    assert not facts.variable_rate


def test_sound_of_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.mp4", audio="aac")
    content = bytearray(path.read_bytes())
    content[content.index(b"mp4a") : content.index(b"mp4a") + 4] = b"mpXa"
    # The object type of the elementary stream (ISO/IEC 14496-1), 0x40 for AAC, followed by the audio stream's mark.
    content[content.index(b"\x40\x15", content.index(b"esds"))] = 0xFE
    path.write_bytes(content)
    with pytest.raises(MediaInvalid) as refused:
        probe(path)
    assert refused.value.details["field"] == "audio_codec"


def test_audio_facts(tmp_path: Path) -> None:
    audio = probe(make_clip(tmp_path / "clip.mp4", audio="aac")).audio
    assert audio is not None
    assert (audio.codec, audio.sample_rate, audio.channels) == ("aac", 48000, 2)
    assert audio.packets > 30


def test_color_tags(tmp_path: Path) -> None:
    tags = probe(make_clip(tmp_path / "clip.mp4", frames=1, matrix=6, full_range=True)).color
    assert (tags.primaries, tags.transfer, tags.matrix, tags.full_range) == (6, 6, 6, True)
    assert probe(make_clip(tmp_path / "plain.mp4", frames=1, tagged=False)).color.matrix == 2


def test_one_frame(tmp_path: Path) -> None:
    facts = probe(make_clip(tmp_path / "clip.mp4", frames=1))
    assert facts.frame_count == 1
    assert facts.duration > 0


@pytest.mark.parametrize("codec", ["libvpx-vp9", "mpeg4", "libx265", "libsvtav1"])
def test_other_allowed_codecs(tmp_path: Path, codec: str) -> None:
    options = {"libx265": {"x265-params": "log-level=none", "preset": "ultrafast"}, "libsvtav1": {"preset": "12"}}
    suffix = "webm" if codec == "libvpx-vp9" else "mp4"
    path = make_clip(
        tmp_path / f"clip.{suffix}",
        frames=6,
        codec=codec,
        options=options.get(codec, {"deadline": "realtime"} if "vpx" in codec else {}),
        time_base=Fraction(1, 1000) if suffix == "webm" else Fraction(1, 30),
    )
    facts = probe(path)
    assert facts.codec == {"libvpx-vp9": "vp9", "mpeg4": "mpeg4", "libx265": "hevc", "libsvtav1": "av1"}[codec]
    assert facts.frame_count == 6 == sum(1 for _ in read_frames(path))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"size_bytes": 500}, "size_bytes"),
        ({"duration": Fraction(1, 2)}, "duration"),
        ({"frame_rate": Fraction(29)}, "frame_rate"),
        ({"side": 150}, "side"),
        ({"pixels": 14_000}, "pixels"),
        ({"streams": 1}, "streams"),
        ({"containers": ("matroska",)}, "container"),
        ({"codecs": ("vp9",)}, "codec"),
    ],
)
def test_each_limit_refuses_and_names_itself(tmp_path: Path, changes: dict[str, object], field: str) -> None:
    path = make_clip(tmp_path / "clip.mp4", audio="aac")
    probe(path)
    error = refused(path, replace(MediaLimits(), **changes))  # type: ignore[arg-type]
    assert error.details["field"] == field
    assert {"value", "limit"} <= error.details.keys()


def test_rate_may_drift_by_one_percent(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.mp4", rate=Fraction(60300, 1000), time_base=Fraction(1, 60300))
    assert probe(path).average_rate == Fraction(603, 10)


def test_gif_only_where_allowed(tmp_path: Path) -> None:
    path = make_clip(
        tmp_path / "clip.gif", frames=4, codec="gif", pixel_format="rgb8", time_base=Fraction(1, 100), tagged=False
    )
    assert refused(path).details["value"] == "gif"
    facts = probe(path, MediaLimits(containers=("gif",), codecs=("gif",)))
    assert (facts.container, facts.frame_count) == ("gif", 4)


@pytest.mark.parametrize(
    "content", [b"", b"hello, I am a text\n" * 40, b"\x00\x00\x00\x20ftyp", b"\x1a\x45\xdf\xa3" + b"\x00" * 50]
)
def test_what_is_no_video_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(content)
    refused(path)


def test_missing_file_is_refused(tmp_path: Path) -> None:
    refused(tmp_path / "nowhere.mp4")


def test_sound_alone_is_refused(tmp_path: Path) -> None:
    whole = make_clip(tmp_path / "whole.mp4", audio="aac")
    with av.open(str(whole)) as source, av.open(str(tmp_path / "sound.mp4"), "w") as output:
        track = output.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(source.streams.audio[0]):
            if packet.size:
                packet.stream = track
                output.mux(packet)
    assert refused(tmp_path / "sound.mp4").details["field"] == "video_streams"


@pytest.mark.parametrize("part", [0.3, 0.7, 0.98])
@pytest.mark.parametrize("layout", [{}, {"movflags": "+faststart"}])
def test_truncated_file_is_refused(tmp_path: Path, part: float, layout: dict[str, str]) -> None:
    whole = make_clip(tmp_path / "whole.mp4", frames=40, mux_options=layout).read_bytes()
    path = tmp_path / "clip.mp4"
    path.write_bytes(whole[: int(len(whole) * part)])
    refused(path)


@pytest.mark.parametrize("cut", [100, 1000, 4000, 9000])
def test_cut_between_packets_is_refused(tmp_path: Path, cut: int) -> None:
    """FFmpeg ends such streams without an error."""
    whole = make_clip(tmp_path / "whole.mp4", frames=40, audio="aac", mux_options={"movflags": "+faststart"})
    path = tmp_path / "clip.mp4"
    path.write_bytes(whole.read_bytes()[:-cut])
    assert refused(path).details["field"] == "file"


def test_truncated_matroska_is_refused(tmp_path: Path) -> None:
    whole = make_clip(tmp_path / "whole.mkv", frames=60, time_base=Fraction(1, 1000)).read_bytes()
    path = tmp_path / "clip.mkv"
    path.write_bytes(whole[: len(whole) // 2])
    assert refused(path).details["field"] == "file"


def test_fragmented_mp4_is_read(tmp_path: Path) -> None:
    path = make_clip(
        tmp_path / "clip.mp4",
        frames=40,
        audio="aac",
        options={"g": "10"},
        mux_options={"movflags": "+frag_keyframe+empty_moov"},
    )
    facts = probe(path)
    assert facts.frame_count == 40 == sum(1 for _ in read_frames(path))
    assert [frame.index for frame in read_frames(path, 25, 28)] == [25, 26, 27]


@pytest.fixture
def canary() -> Iterator[socket.socket]:
    """A listening socket that nobody may connect to."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        yield server


def hls(port: int) -> bytes:
    return (
        f"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nhttp://127.0.0.1:{port}/a.ts\n#EXT-X-ENDLIST\n"
    ).encode()


def concat(port: int) -> bytes:
    return f"ffconcat version 1.0\nfile 'http://127.0.0.1:{port}/a.mp4'\nfile '/etc/passwd'\n".encode()


def reference_movie(port: int) -> bytes:
    """A QuickTime file whose only content is a reference to another address."""

    def box(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", 8 + len(body)) + kind + body

    address = f"http://127.0.0.1:{port}/a.mp4".encode() + b"\0"
    reference = box(b"rdrf", b"\0\0\0\0url " + struct.pack(">I", len(address)) + address)
    return box(b"ftyp", b"qt  \0\0\0\0qt  ") + box(b"moov", box(b"rmra", box(b"rmda", reference)))


@pytest.mark.parametrize("script", [hls, concat, reference_movie])
def test_scripts_that_call_themselves_mp4_reach_nobody(
    tmp_path: Path, canary: socket.socket, script: Callable[[int], bytes]
) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(script(canary.getsockname()[1]))
    refused(path)
    with pytest.raises(MediaInvalid):
        next(read_frames(path))
    with pytest.raises(TimeoutError):
        canary.accept()


def test_huge_picture_is_refused_without_decoding_it(tmp_path: Path) -> None:
    path = make_clip(
        tmp_path / "clip.mp4",
        frames=1,
        width=4100,
        height=2200,
        picture=lambda _, width, height: np.zeros((height, width, 3), np.uint8),
    )
    assert refused(path).details["field"] == "side"
