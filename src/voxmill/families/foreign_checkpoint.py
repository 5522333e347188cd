"""Checkpoints that other programs wrote: read without running anything in them, matched by name.

A `.pt` is a pickle, and a pickle is a program. Only the safe loaders are used here: PyTorch's with
`weights_only`, which knows tensors and plain values, and safetensors.
"""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from voxmill.errors import DataError

_WRAPPERS = ("state_dict", "model_state_dict", "model", "module")
"""Keys that trainers keep the weights under, beside optimizer and counters."""
_PREFIXES = ("module.", "_orig_mod.")
"""What data-parallel wrappers and torch.compile put in front of every name."""
_MOST_NAMES = 20
_REMEDY = (
    "On a machine that you trust with it, load it there and write its tensors alone: "
    "safetensors.torch.save_file({name: tensor.contiguous() ...}, 'model.safetensors'), and name "
    "that file in base.init_from."
)


@dataclass(frozen=True)
class Reshaped:
    """A tensor that both sides have, in different shapes."""

    name: str
    """As the model has it."""
    expected: tuple[int, ...]
    """The model's shape."""
    found: tuple[int, ...]
    """The checkpoint's shape."""


@dataclass(frozen=True, kw_only=True)
class MatchReport:
    """Which of a model's tensors a checkpoint has."""

    matched: Mapping[str, str]
    """The checkpoint's name by the model's."""
    missing: tuple[str, ...]
    """The model's names that the checkpoint has nothing for: they stay as they were made."""
    unexpected: tuple[str, ...]
    """The checkpoint's names that the model has no place for."""
    reshaped: tuple[Reshaped, ...]
    """Same name, other shape: they stay as they were made, too."""

    def as_json(self) -> dict[str, Any]:
        """Plain values for a report, with every name."""
        return {
            "matched": dict(self.matched),
            "missing": list(self.missing),
            "unexpected": list(self.unexpected),
            "reshaped": [asdict(one) for one in self.reshaped],
        }

    def table(self) -> str:
        """Four lines for a log: how many of each kind, and the first names of what did not fit."""
        reshaped = [f"{one.name} {one.found}, expected {one.expected}" for one in self.reshaped]
        rows = {
            "matched": (len(self.matched), []),
            "missing": (len(self.missing), list(self.missing)),
            "unexpected": (len(self.unexpected), list(self.unexpected)),
            "reshaped": (len(reshaped), reshaped),
        }
        return "\n".join(
            f"{kind:<10} {count:>5}  {_shortened(names)}".rstrip()
            for kind, (count, names) in rows.items()
        )


def read_foreign(path: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint file, on the CPU, by name.

    Weights under `state_dict`, `model_state_dict`, `model` or `module` are unwrapped, the prefix
    `module.` is taken off; whatever is no tensor is left out.

    Args:
        path: A .safetensors file, or one that `torch.save` wrote.

    Raises:
        DataError: The file is missing or damaged, holds pickled code, or holds no tensors.
    """
    if not path.is_file():
        raise DataError(f"Foreign checkpoint {path}: there is no such file.")
    content = _safetensors(path) if path.suffix == ".safetensors" else _pickled(path)
    weights = _unwrapped(content)
    found = {
        name: value.detach()
        for name, value in weights.items()
        if isinstance(name, str) and isinstance(value, Tensor)
    }
    if not found:
        keys = _shortened([str(key) for key in weights]) or "nothing"
        raise DataError(
            f"Foreign checkpoint {path}: expected tensors by name, at the top or under "
            f"{', '.join(_WRAPPERS)}; found {keys}. Write the model's state_dict() alone into a "
            "file, and name that one."
        )
    return _without_prefixes(found)


def match(
    state: Mapping[str, Tensor], tensors: Mapping[str, Tensor], renames: Mapping[str, str]
) -> MatchReport:
    """Finds a place in a model for each tensor of a checkpoint.

    Args:
        state: The model's own tensors, as `state_dict()` gives them.
        tensors: The checkpoint's.
        renames: What the beginning of a checkpoint's name becomes: of several that fit, the
            longest counts, and a whole name is a beginning too.

    Raises:
        DataError: Nothing at all matches, or two names of the checkpoint become one.
    """
    theirs = _renamed(tensors, renames)
    shared = [name for name in state if name in theirs]
    fitting = [name for name in shared if state[name].shape == tensors[theirs[name]].shape]
    report = MatchReport(
        matched={name: theirs[name] for name in fitting},
        missing=tuple(name for name in state if name not in theirs),
        unexpected=tuple(name for new, name in theirs.items() if new not in state),
        reshaped=tuple(
            Reshaped(name, tuple(state[name].shape), tuple(tensors[theirs[name]].shape))
            for name in shared
            if name not in set(fitting)
        ),
    )
    if not report.matched:
        raise DataError(
            f"Foreign checkpoint: none of its {len(tensors)} tensors fits the model's "
            f"{len(state)}. It has {_shortened(list(tensors), 5)}; the model wants "
            f"{_shortened(list(state), 5)}. It is of another model, or of other sizes: correct "
            "the section `model`, or base.init_from."
        )
    return report


def apply(state: Mapping[str, Tensor], tensors: Mapping[str, Tensor], report: MatchReport) -> None:
    """Copies what matched into the model's own tensors, in place; all of it or nothing.

    Args:
        state: The model's own tensors, as `state_dict()` gives them: they share its memory.
        tensors: The checkpoint's.
        report: What `match` said of these two.

    Raises:
        DataError: A tensor holds values that are no numbers (NaN).
    """
    for theirs in report.matched.values():
        if tensors[theirs].is_floating_point() and bool(tensors[theirs].isnan().any()):
            raise DataError(
                f"Foreign checkpoint: {theirs} holds NaN, so whatever trained it had failed by "
                "then. Take an earlier checkpoint."
            )
    with torch.no_grad():
        for mine, theirs in report.matched.items():
            state[mine].copy_(tensors[theirs])


def _safetensors(path: Path) -> Mapping[Any, Any]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise DataError(
            f"Foreign checkpoint {path} is damaged, or no safetensors file: {error}. Copy it anew."
        ) from error


def _pickled(path: Path) -> Mapping[Any, Any]:
    try:
        with warnings.catch_warnings():  # of TorchScript and of pickle's protocols, which we refuse
            warnings.simplefilter("ignore")
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # zipfile, pickle and torch raise whatever they like over a file that is cut off or no
        # checkpoint at all; a TorchScript archive, which is a program too, is a RuntimeError
        raise DataError(f"Foreign checkpoint {path} {_reason(error)} {_REMEDY}") from error
    if not isinstance(content, Mapping):
        raise DataError(
            f"Foreign checkpoint {path}: expected tensors by name, found a "
            f"{type(content).__name__}. {_REMEDY}"
        )
    return content


def _unwrapped(content: Mapping[Any, Any]) -> Mapping[Any, Any]:
    for key in _WRAPPERS:
        if isinstance(content.get(key), Mapping):
            return _unwrapped(content[key])
    return content


def _without_prefixes(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Names without what wrappers put in front, unless that would make one name out of two."""
    short = {name: name for name in tensors}
    for name in tensors:
        while short[name].startswith(_PREFIXES):
            short[name] = short[name].partition(".")[2]
    uses = Counter(short.values())
    return {
        (short[name] if uses[short[name]] == 1 else name): value for name, value in tensors.items()
    }


def _renamed(tensors: Mapping[str, Tensor], renames: Mapping[str, str]) -> dict[str, str]:
    """The checkpoint's names by what they become."""
    theirs: dict[str, str] = {}
    for name in tensors:
        beginning = max((one for one in renames if name.startswith(one)), key=len, default=None)
        new = name if beginning is None else renames[beginning] + name[len(beginning) :]
        if new in theirs:
            raise DataError(
                f"Foreign checkpoint: {theirs[new]} and {name} both become {new}. Correct the "
                "renames."
            )
        theirs[new] = name
    return theirs


def _shortened(names: list[str], most: int = _MOST_NAMES) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _reason(error: Exception) -> str:
    """What was wrong; PyTorch's own message goes on with how to run the file all the same."""
    called = re.search(r"GLOBAL (\S+)", str(error))
    if called is not None:
        return (
            f"holds more than tensors and plain values: it calls {called[1]}, and loading it would "
            "run whatever its writer wanted."
        )
    return (
        f"cannot be read safely: {_first_sentence(error)}. Copy it anew if it is damaged; if it "
        "opens elsewhere, it is a program."
    )


def _first_sentence(error: BaseException) -> str:
    sentence = str(error).strip().partition("\n")[0].partition(". ")[0]
    return sentence.rstrip(".") or type(error).__name__
