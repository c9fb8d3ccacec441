"""What is measured: synthetic clips, whose face goes into whom, and the open clips."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from clips import Scene

SHOWN = ("P006", "P007")
"""Whose pictures may lie beside the results."""
_PORTRAIT = (1080, 1920)


@dataclass(frozen=True)
class Case:
    """One clip and whose face goes into it."""

    name: str
    persona: str
    scene: Scene | None = None
    actor: str = "P006"
    open_clip: str = ""

    @property
    def small(self) -> bool:
        """Whether the face is about 90 pixels or less."""
        return self.scene is None or self.scene.face_width < 100

    @property
    def shown(self) -> bool:
        """Whether its sheet may lie beside the results."""
        return self.scene is not None and self.actor in SHOWN

    @property
    def occluder(self) -> Literal["", "object", "hand"]:
        """What stands in front of the face with an exact matte; a bar of the colour of skin counts as a hand."""
        if self.scene is None or not (self.scene.passes or self.scene.wears):
            return ""
        return "hand" if self.scene.passes.startswith(("hand", "skin")) else "object"


CASES = (
    Case("talk 250", "P007", Scene("talk250", 250)),
    Case("talk 450, 1080x1920", "P007", Scene("talk450", 450, _PORTRAIT, 1.2)),
    Case("talk 90", "P007", Scene("talk90", 90, (258, 460))),
    Case("P006 on P007, 250", "P006", Scene("reverse250", 250), actor="P007"),
    Case("P006 on P007, 450, mirrored", "P006", Scene("reverse450", 450, _PORTRAIT, 1.2, mirrored=True), actor="P007"),
    Case("upright by matrix 250", "P007", Scene("turned250", 250, seconds=1.0, turned=True)),
    Case("60 fps 250", "P007", Scene("fast250", 250, seconds=1.0, rate=60)),
    Case("dim 250", "P007", Scene("dim250", 250, light=0.4, noise=3.0)),
    Case("cut 250", "P007", Scene("cut250", 250, cut=0.8)),
    Case("comes late 250", "P007", Scene("late250", 250, seconds=2.2, late=0.6)),
    Case("two people 220", "P007", Scene("two220", 220, beside="P008")),
    Case("poster 250", "P006", Scene("poster250", 250, wall="poster")),
    Case("phone screen 250", "P006", Scene("phone250", 250, wall="phone")),
    Case("thick glasses 250", "P007", Scene("thick250", 250, wears="thick")),
    Case("thin glasses 250", "P007", Scene("thin250", 250, wears="thin")),
    Case("dark bar 250", "P007", Scene("bar250", 250, passes="dark")),
    Case("microphone 250", "P007", Scene("microphone250", 250, passes="microphone")),
    Case("hand at mouth 250", "P007", Scene("mouth250", 250, seconds=2.4, passes="hand mouth")),
    Case("fingers at chin 250", "P007", Scene("chin250", 250, seconds=2.4, passes="hand chin")),
    Case("hand at brow 250", "P007", Scene("brow250", 250, seconds=2.4, passes="hand brow")),
    Case("hand at mouth, P006 on P007, 450", "P006", Scene("mouth450", 450, _PORTRAIT, 2.0, passes="hand mouth"), actor="P007"),
    Case("skin bar 250", "P007", Scene("skin250", 250, passes="skin")),
    Case("full beard 250", "P007", Scene("beard250", 250), actor="P005"),
    Case("open man A", "P007", open_clip="sorry.mkv"),
    Case("open man B", "P007", open_clip="night.mkv"),
    Case("open woman", "P006", open_clip="school.mkv"),
    Case("open laugh", "P007", open_clip="head-pose-face-detection-male.gif"),
    Case("open turns", "P006", open_clip="head-pose-face-detection-female.gif"),
    Case("open two people", "P007", open_clip="head-pose-face-detection-female-and-male.gif"),
    Case("open hand at mouth", "P007", open_clip="eat.mkv"),
    Case("open hand at brow", "P007", open_clip="brother.mkv"),
    Case("open hand over face", "P007", open_clip="bird.mkv"),
)  # fmt: skip
