"""Trains the network that fills what erased text hides in every frame, on a CPU, and writes it as ONNX.

It is run by hand when the network is to change; neither the product nor the tests need it.

    pip install torch==2.14.1 onnx==1.23.2 opencv-python-headless==5.0.0.93 pillow==13.0.0 \
        openpeople==0.1.2 scikit-image scikit-learn
    apt-get download lomiri-wallpapers-16.04=20.04.0-2 && dpkg-deb -x lomiri-wallpapers-16.04_*.deb photos
    PYTHONPATH=src python tools/fill/train.py --wallpapers photos/usr/share/backgrounds \
        --face-detector MODELS/face_detection_yunet_2023mar_int8bq.onnx --out run --minutes 80

Minutes are wall time, the last third of them with a falling step size. The weights that are kept are a running mean of
those of the last thousand steps or so.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from holes import Holes
from network import Trained, added, fresh_weights, write_onnx
from numpy.typing import NDArray
from pictures import Crops, filmed, pictures

from recaster.media.overlays.inpainting import network_input

SIDE = 160
BATCH = 12
RATE = 1.5e-3


class Examples:
    """Draws batches: the network's input, the true picture, the hole."""

    def __init__(self, crops: Crops, holes: Holes, seed: int) -> None:
        self._crops, self._holes = crops, holes
        self._random = np.random.default_rng(seed)

    def batch(self, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Inputs (n, 4, h, w) and true colours (n, 3, h, w), 0–1."""
        inputs, truths = [], []
        for _ in range(count):
            ink, hole = self._holes.draw()
            clean, frame = filmed(self._crops.any(), ink, self._random)
            inputs.append(network_input(frame.astype(np.float32), ~hole))
            truths.append(clean.transpose(2, 0, 1).astype(np.float32) / 255)
        return _tensor(np.concatenate(inputs)), _tensor(np.stack(truths))


def _tensor(values: NDArray[np.float32]) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(values)).contiguous(memory_format=torch.channels_last)


def loss_of(inputs: torch.Tensor, residual: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Absolute and squared error inside the hole, and the error of differences across 1, 2 and 4 pixels in and around it."""
    hole = inputs[:, 3:4]
    fill = inputs[:, :3] + 0.5 + residual
    error = (fill - truth) * hole
    area = hole.sum() * 3 + 1
    loss = (error.abs().sum() + 6.0 * error.square().sum()) / area
    for step in (1, 2, 4):
        # Outside the hole the error counts as 0, so a step at the border is punished too.
        loss = loss + 0.25 * (error[..., step:, :] - error[..., :-step, :]).abs().sum() / area
        loss = loss + 0.25 * (error[..., :, step:] - error[..., :, :-step]).abs().sum() / area
    return loss


def squared_error(inputs: torch.Tensor, residual: torch.Tensor, truth: torch.Tensor) -> tuple[float, float]:
    """Decibels inside the hole of the smooth fill the network starts from, and of the network."""
    hole = inputs[:, 3:4]
    found = []
    for fill in (inputs[:, :3] + 0.5, inputs[:, :3] + 0.5 + residual):
        squares = ((fill.clamp(0, 1) - truth).square() * hole).sum((1, 2, 3)) / (3 * hole.sum((1, 2, 3)))
        found.append(float((-10 * torch.log10(squares + 1e-7)).mean()))
    return found[0], found[1]


def main() -> None:
    """Run the command."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--wallpapers", type=Path, required=True)
    arguments.add_argument("--face-detector", type=Path, required=True)
    arguments.add_argument("--out", type=Path, required=True)
    arguments.add_argument("--minutes", type=float, default=80)
    arguments.add_argument("--resume", type=Path)
    given = arguments.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    torch.manual_seed(1)
    given.out.mkdir(parents=True, exist_ok=True)
    train = Examples(Crops(pictures(given.wallpapers, given.face_detector), SIDE, 1), Holes(SIDE, 2), 3)
    held = pictures(given.wallpapers, given.face_detector, held_out=True)
    check = Examples(Crops(held, SIDE, 11), Holes(SIDE, 12, 60), 13).batch(96)
    weights = torch.load(given.resume) if given.resume else fresh_weights()
    mean = {name: value.clone() for name, value in weights.items()}
    for value in weights.values():
        value.requires_grad_(True)
    print(f"{sum(value.numel() for value in weights.values())} weights", flush=True)
    optimizer = torch.optim.AdamW(weights.values(), RATE, weight_decay=1e-3)
    began, step, losses = time.monotonic(), 0, []
    while (elapsed := (time.monotonic() - began) / 60) < given.minutes:
        rate = RATE * min(1.0, (step + 1) / 300, max(0.01, 3 * (1 - elapsed / given.minutes)))
        for group in optimizer.param_groups:
            group["lr"] = rate
        inputs, truth = train.batch(BATCH)
        with torch.autocast("cpu", torch.bfloat16):
            residual = added(Trained(weights), inputs)
        loss = loss_of(inputs, residual.float(), truth)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights.values(), 1.0)
        optimizer.step()
        losses.append(float(loss.detach()))
        with torch.no_grad():
            share = min(0.999, 1 - 1 / (step / 10 + 1))
            for name, value in weights.items():
                mean[name].lerp_(value, 1 - share)
        step += 1
        if step % 500 == 0:
            with torch.no_grad():
                smooth, better = squared_error(check[0], added(Trained(mean), check[0]), check[1])
            print(
                f"step {step} minutes {elapsed:.1f} loss {np.mean(losses):.4f} rate {rate:.5f} "
                f"held out: smooth fill {smooth:.2f} dB, network {better:.2f} dB",
                flush=True,
            )
            losses.clear()
            _keep(mean, given.out)
    _keep(mean, given.out)


def _keep(weights: dict[str, torch.Tensor], folder: Path) -> None:
    torch.save(weights, folder / "mean.part")
    (folder / "mean.part").replace(folder / "mean.pt")
    write_onnx(weights, folder / "fill.onnx")


if __name__ == "__main__":
    main()
