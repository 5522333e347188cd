"""A made-up language in which each letter is a direction in six dimensions, as a sensor sees it.

Dimensions have large offsets and unlike scales, as sensors do: what is not brought to zero mean and
unit variance first is hard to learn.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

DIMENSIONS = 6
FRAME_SECONDS = 0.02
LETTERS = "abcd"
OFFSETS = np.array([900.0, -40.0, 3.0, 0.0, 5000.0, -0.2])
SCALES = np.array([50.0, 4.0, 0.5, 1.0, 300.0, 0.02])


def signal(text: str, generator: np.random.Generator) -> np.ndarray:
    """The text as directions with rests between them: (T, 6) float32."""
    rest = np.zeros((3, DIMENSIONS))
    pieces = [rest]
    for letter in text:
        steps = int(generator.integers(5, 9))
        pieces += [np.tile(direction(letter), (steps, 1)), rest]
    clean = np.concatenate(pieces)
    noisy = clean + 0.1 * generator.standard_normal(clean.shape)
    return (OFFSETS + SCALES * noisy).astype(np.float32)


def direction(letter: str) -> np.ndarray:
    """(6,): one dimension up and the next one down; a space moves nothing but the last."""
    found = np.zeros(DIMENSIONS)
    if letter == " ":
        found[-1] = 2.0
    else:
        place = LETTERS.index(letter)
        found[place], found[place + 1] = 2.0, -2.0
    return found


def random_text(generator: np.random.Generator) -> str:
    """Two words of one to three letters."""
    words = [generator.choice(list(LETTERS), size=generator.integers(1, 4)) for _ in range(2)]
    return " ".join("".join(word) for word in words)


def write_language(folder: Path, *, arrays: int, speakers: int = 5) -> Path:
    """Arrays named TEXT_SPEAKER_number.npy, as the source `features` reads them by default."""
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(11)
    for number in range(arrays):
        text = random_text(generator)
        name = f"{text}_s{number % speakers}_{number:03d}.npy"
        np.save(folder / name, signal(text, generator))
    return folder
