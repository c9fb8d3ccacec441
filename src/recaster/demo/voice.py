"""A voice made by rule, and what the mouth does while it speaks. It knows sounds, not faces.

Each phrase is a row of phonemes. A pulse train for voiced sounds and noise for breath run through three resonators whose
frequencies glide from phoneme to phoneme (Klatt: "Software for a cascade/parallel formant synthesizer", 1980, much
reduced). The same times drive the jaw and lips, so that picture and sound belong together by construction.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 44100
Samples = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Phoneme:
    """One speech sound of a woman's voice."""

    seconds: float
    """Length in ordinary speech."""
    formants: tuple[float, float, float]
    """Resonances of the mouth in hertz."""
    voice: float
    """Strength of the vocal cords, 0–1."""
    breath: float
    """Strength of the noise, 0–1."""
    jaw: float
    """Opening of the mouth, 0–1."""
    wide: float
    """Corners of the mouth: −1 together, 1 apart."""


_PHONEMES = {
    "-": Phoneme(0.09, (500, 1600, 2600), 0.0, 0.0, 0.0, 0.0),
    "i": Phoneme(0.12, (330, 2600, 3200), 1.0, 0.0, 0.22, 0.7),
    "I": Phoneme(0.08, (430, 2200, 2900), 1.0, 0.0, 0.30, 0.4),
    "e": Phoneme(0.11, (600, 2100, 2850), 1.0, 0.0, 0.42, 0.4),
    "E": Phoneme(0.14, (480, 2400, 2900), 1.0, 0.0, 0.36, 0.6),
    "a": Phoneme(0.13, (850, 1300, 2700), 1.0, 0.0, 0.72, 0.1),
    "A": Phoneme(0.15, (800, 1700, 2700), 1.0, 0.0, 0.60, 0.2),
    "o": Phoneme(0.13, (560, 950, 2600), 1.0, 0.0, 0.48, -0.7),
    "u": Phoneme(0.12, (370, 950, 2650), 1.0, 0.0, 0.22, -1.0),
    "@": Phoneme(0.07, (580, 1500, 2650), 1.0, 0.0, 0.32, 0.0),
    "r": Phoneme(0.08, (430, 1250, 1700), 0.8, 0.0, 0.22, -0.4),
    "l": Phoneme(0.07, (380, 1150, 2900), 0.8, 0.0, 0.28, 0.1),
    "w": Phoneme(0.07, (330, 720, 2500), 0.7, 0.0, 0.12, -1.0),
    "m": Phoneme(0.08, (280, 1000, 2200), 0.5, 0.0, 0.0, 0.0),
    "n": Phoneme(0.07, (280, 1600, 2500), 0.5, 0.0, 0.16, 0.1),
    "N": Phoneme(0.07, (280, 2000, 2500), 0.5, 0.0, 0.20, 0.1),
    "b": Phoneme(0.06, (250, 900, 2300), 0.2, 0.05, 0.0, 0.0),
    "p": Phoneme(0.08, (300, 900, 2300), 0.0, 0.15, 0.0, 0.0),
    "d": Phoneme(0.06, (300, 1800, 2700), 0.2, 0.1, 0.15, 0.1),
    "t": Phoneme(0.08, (350, 1900, 2800), 0.0, 0.35, 0.15, 0.1),
    "k": Phoneme(0.08, (350, 1900, 2500), 0.0, 0.3, 0.25, 0.0),
    "g": Phoneme(0.06, (300, 1900, 2500), 0.2, 0.1, 0.25, 0.0),
    "f": Phoneme(0.09, (400, 1400, 4800), 0.0, 0.25, 0.06, 0.2),
    "v": Phoneme(0.07, (350, 1400, 3800), 0.4, 0.15, 0.06, 0.2),
    "T": Phoneme(0.08, (400, 1700, 4600), 0.0, 0.2, 0.16, 0.1),
    "D": Phoneme(0.06, (350, 1600, 2700), 0.4, 0.1, 0.16, 0.1),
    "s": Phoneme(0.10, (500, 4800, 6800), 0.0, 0.5, 0.10, 0.4),
    "z": Phoneme(0.08, (400, 4600, 6500), 0.3, 0.4, 0.10, 0.4),
    "S": Phoneme(0.10, (500, 2600, 3800), 0.0, 0.5, 0.12, -0.6),
    "h": Phoneme(0.06, (600, 1600, 2700), 0.0, 0.2, 0.30, 0.0),
    "j": Phoneme(0.06, (300, 2400, 3100), 0.8, 0.0, 0.16, 0.5),
}  # fmt: skip
_STEP = 0.005
"""Seconds between two settings of the resonators."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words said in one breath."""

    start: float
    """Second at which it begins."""
    seconds: float
    phonemes: str
    """One letter each, of this module's table."""


@dataclass(frozen=True, slots=True, eq=False)
class Speech:
    """What is said in a clip."""

    phrases: tuple[Phrase, ...]

    def mouth(self, second: float) -> tuple[float, float]:
        """Opening (0–1) and width (−1–1) of the mouth at a time; lips begin to move a little before they are heard."""
        weights, jaws, widths = [], [], []
        for start, end, sound in self._timed():
            # Sounds melt into each other: each has weight around its own time and somewhat beyond.
            middle, spread = (start + end) / 2 - 0.02, max(0.05, 0.5 * (end - start))
            weight = float(np.exp(-(((second - middle) / spread) ** 2)))
            weights.append(weight * (3.0 if sound.jaw == 0.0 else 1.0))
            jaws.append(sound.jaw)
            widths.append(sound.wide)
        total = sum(weights) + 0.05
        jaw = sum(w * value for w, value in zip(weights, jaws, strict=True)) / total
        wide = sum(w * value for w, value in zip(weights, widths, strict=True)) / total
        return jaw, wide

    def sound(self, seconds: int) -> Samples:
        """The voice alone, shape (seconds * SAMPLE_RATE,), between −1 and 1; the same every time."""
        count = round(seconds / _STEP)
        controls = np.zeros((count, 6))  # three formants, voice, breath, pitch
        controls[:, :3] = _PHONEMES["-"].formants
        for start, end, sound in self._timed():
            first, last = (min(count, round(edge / _STEP)) for edge in (start, end))
            controls[first:last, :3] = sound.formants
            # A wider mouth lets more of the voice out.
            controls[first:last, 3:5] = sound.voice * (0.35 + 1.3 * sound.jaw), sound.breath
        for phrase in self.phrases:
            first, last = round(phrase.start / _STEP), min(count, round((phrase.start + phrase.seconds) / _STEP))
            part = np.linspace(0, 1, max(last - first, 0))
            controls[first:last, 5] = 225 - 60 * part + 22 * np.sin(2 * np.pi * 2.4 * part + 0.6)
        kernel = np.hanning(9)
        for column in range(5):
            padded = np.pad(controls[:, column], 4, mode="edge")
            controls[:, column] = np.convolve(padded, kernel / kernel.sum(), mode="valid")
        return _sung(controls, seconds)

    def _timed(self) -> list[tuple[float, float, Phoneme]]:
        result = []
        for phrase in self.phrases:
            sounds = [_PHONEMES[letter] for letter in phrase.phonemes]
            factor = phrase.seconds / sum(sound.seconds for sound in sounds)
            at = phrase.start
            for sound in sounds:
                result.append((at, at + factor * sound.seconds, sound))
                at += factor * sound.seconds
        return result


def _sung(controls: NDArray[np.float64], seconds: int) -> Samples:
    length = seconds * SAMPLE_RATE
    edges = np.round(np.arange(len(controls) + 1) * _STEP * SAMPLE_RATE).astype(int)
    full = [np.interp(np.arange(length), edges[:-1], controls[:, column]) for column in range(6)]
    pitch = np.where(full[5] > 0, full[5], 180.0)
    phase = np.cumsum(pitch / SAMPLE_RATE)
    # A rounded sawtooth has about the spectrum of a voice: every harmonic, falling with frequency.
    pulses = np.zeros(length)
    for harmonic in range(1, 34):
        pulses += np.sin(2 * np.pi * harmonic * phase) / harmonic**1.15 * (harmonic * pitch < 9000)
    noise = np.random.default_rng(11).standard_normal(length)
    source = 0.5 * pulses * full[3] + 0.35 * noise * full[4]
    result = np.zeros(length)
    states = np.zeros((3, 2))
    for number in range(len(controls)):
        first, last = edges[number], edges[number + 1]
        piece = source[first:last]
        for rank, (width, gain) in enumerate(((90, 1.0), (120, 0.6), (190, 0.35))):
            filtered, states[rank] = _resonated(piece, controls[number, rank], width, states[rank])
            result[first:last] += gain * filtered
    return np.asarray(result / max(float(np.abs(result).max()), 1e-9) * 0.7, np.float32)


def _resonated(
    samples: NDArray[np.float64], frequency: float, width: float, state: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A second-order resonator with peak gain near one, run over a block with the state of the block before."""
    radius = float(np.exp(-np.pi * width / SAMPLE_RATE))
    angle = 2 * np.pi * frequency / SAMPLE_RATE
    # y[n] = x[n] + 2 r cos(a) y[n-1] - r² y[n-2] in closed form: the impulse response by convolution, and the old state as
    # a decaying oscillation.
    count = len(samples)
    powers = np.arange(count + 2)
    response = radius**powers * np.sin((powers + 1) * angle) / np.sin(angle)
    driven = np.convolve((1 - radius) * samples, response[:count])[:count]
    free = state[0] * response[1 : count + 1] - radius**2 * state[1] * response[:count]
    result = driven + free
    return result, result[-2:][::-1].copy()
