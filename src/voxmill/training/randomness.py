"""The state of every random generator that training draws from: seeded, saved, put back."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from voxmill.training.team import Team


def seed_everything(seed: int) -> None:
    """Seeds Python, numpy and PyTorch (CPU and every GPU)."""
    random.seed(seed)
    # The global generator: libraries beneath us draw from it, whatever we prefer.
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def random_state() -> dict[str, Any]:
    """The generators' states as tensors, numbers and lists that the safe loader reads."""
    state: tuple[Any, ...] = tuple(np.random.get_state(legacy=True))
    kind, keys, position, has_gauss, gauss = state
    version, internal, following = random.getstate()
    return {
        "python": [version, list(internal), following],
        "numpy": [kind, torch.from_numpy(keys.astype(np.int64)), position, has_gauss, gauss],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def restore_random_state(state: Mapping[str, Any]) -> None:
    """Puts back what `random_state` gave; GPU states only where there are as many GPUs."""
    version, internal, following = state["python"]
    random.setstate((version, tuple(internal), following))
    kind, keys, position, has_gauss, gauss = state["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), position, has_gauss, gauss))
    torch.set_rng_state(state["torch"].cpu())
    cuda = state["cuda"]
    if cuda and torch.cuda.is_available() and len(cuda) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all([generator.cpu() for generator in cuda])


@contextmanager
def untouched_randomness() -> Iterator[None]:
    """Whatever is drawn inside, or however it ends: afterwards the generators are as before."""
    state = random_state()
    try:
        yield
    finally:
        restore_random_state(state)


def own_randomness(seed: int, team: Team, *, after: int = 0) -> None:
    """Seeds each process but the first in its own way, so that their dropout masks differ.

    Args:
        seed: Of the training.
        team: The processes.
        after: Updates made; draws after a resume do not repeat those of the beginning.
    """
    if team.rank > 0:
        words = np.random.SeedSequence([seed, team.rank, after]).generate_state(1)
        seed_everything(int(words[0]))


def random_states(team: Team) -> dict[str, Any]:
    """Every process's generators, by the names that a learner's state has for them."""
    first, *others = team.gather(random_state())
    return {"random": first, "random_of_others": others}


def restore_random_states(state: Mapping[str, Any], team: Team) -> bool:
    """Puts back what `random_states` gave, as far as there are as many processes as there were.

    Returns:
        False where there are more or fewer: then process 0 alone has its generators back.
    """
    others = state.get("random_of_others", [])
    states = [state["random"], *others]
    if team.rank == 0 or len(states) == team.size:
        restore_random_state(states[team.rank])
    return len(states) == team.size
