"""A recipe file as plain values: YAML by the rules of its version 1.2, with each key's line."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from voxmill.errors import FieldProblem, RecipeError

KeyPath = tuple[str | int, ...]

MOST_VALUES = 10_000
"""A recipe has about a hundred; more can only come from aliases of aliases."""

# The core schema of YAML 1.2.2, section 10.3.2. PyYAML's own table is that of 1.1, by which
# `1e-4` is text, `no` is false and `12:30` is 750.
_TABLE = (
    ("tag:yaml.org,2002:null", r"^(?:~|null|Null|NULL|)$", ("~", "n", "N", "")),
    ("tag:yaml.org,2002:bool", r"^(?:true|True|TRUE|false|False|FALSE)$", tuple("tTfF")),
    (
        "tag:yaml.org,2002:int",
        r"^(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$",
        tuple("-+0123456789"),
    ),
    (
        "tag:yaml.org,2002:float",
        (
            r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
            r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
        ),
        tuple("-+0123456789."),
    ),
)


_UNICODE_LINE_ENDS = frozenset("\x85\u2028\u2029")


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[Any, Any] = {}  # noqa: RUF012  PyYAML's own way


class _Dumper(yaml.SafeDumper):
    yaml_implicit_resolvers: dict[Any, Any] = {}  # noqa: RUF012

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_text(self, text: str) -> yaml.ScalarNode:
        """Quotes Unicode's own line ends, which PyYAML would fold into spaces when it reads."""
        style = '"' if _UNICODE_LINE_ENDS & set(text) else None
        return self.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _Dumper.represent_text)

for _tag, _pattern, _first in _TABLE:
    for _class in (_Loader, _Dumper):
        _class.add_implicit_resolver(_tag, re.compile(_pattern), list(_first))


@dataclass(frozen=True)
class Document:
    """Plain values and the line that each of them stands in."""

    values: dict[str, Any]
    lines: dict[KeyPath, int]
    """Line, from 1, by path."""
    problems: dict[KeyPath, FieldProblem]
    """What was wrong with single keys and values; the rest can be read all the same."""


def load_document(path: Path) -> Document:
    """Reads a recipe file.

    Raises:
        RecipeError: The file is not UTF-8, not YAML, or not one mapping.
    """
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        found = f"a byte that is not UTF-8 at offset {error.start}"
        raise RecipeError(str(path), [FieldProblem("(file)", found, "save it as UTF-8")]) from error
    reader = _Reader()
    values = reader.read(text)
    if not isinstance(values, dict):
        found = "nothing" if values is None else f"a {_kind_of(values)}"
        problem = FieldProblem("(file)", found, _WHAT_A_RECIPE_IS)
        raise RecipeError(str(path), list(reader.problems.values()) or [problem])
    return Document(values=values, lines=reader.lines, problems=reader.problems)


_WHAT_A_RECIPE_IS = "a recipe is sections of `key: value` lines; copy recipes/digits.yaml to begin"


def parse_value(text: str) -> Any:
    """The value that a YAML text stands for, as in `--set train.learning_rate=1e-4`.

    Raises:
        ValueError: The text is not YAML.
    """
    reader = _Reader()
    value = reader.read(text)
    if reader.problems:
        raise ValueError("; ".join(problem.found for problem in reader.problems.values()))
    return value


def format_value(value: Any) -> str:
    """One line of YAML that `parse_value` reads back as the same value."""
    text: str = yaml.dump(value, Dumper=_Dumper, default_flow_style=True, width=2**31)
    return text.removesuffix("\n").removesuffix("\n...")


def format_document(values: dict[str, Any]) -> str:
    """YAML in block style, keys in the given order."""
    text: str = yaml.dump(
        values, Dumper=_Dumper, default_flow_style=False, sort_keys=False, allow_unicode=True
    )
    return text


class _Reader:
    """Turns YAML nodes into values; notes lines and whatever is wrong."""

    def __init__(self) -> None:
        self.lines: dict[KeyPath, int] = {}
        self.problems: dict[KeyPath, FieldProblem] = {}
        self._count = 0
        self._open: set[int] = set()

    def read(self, text: str) -> Any:
        try:
            loader = _Loader(text)
            node = loader.get_single_node()
        except yaml.YAMLError as error:
            self.problems[()] = _syntax_problem(error, text)
            return None
        except RecursionError:
            self.problems[()] = FieldProblem("(file)", "brackets nested too deep", "unnest them")
            return None
        return None if node is None else self._value(node, ())

    def _value(self, node: yaml.Node, path: KeyPath) -> Any:
        self._count += 1
        if id(node) in self._open or self._count > MOST_VALUES:
            if self._count <= MOST_VALUES + 1:
                self._complain(path, node, "an alias that blows up", "write the values out")
            return None
        self._open.add(id(node))
        try:
            return self._inside(node, path)
        finally:
            self._open.discard(id(node))

    def _inside(self, node: yaml.Node, path: KeyPath) -> Any:
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self._value(item, (*path, n)) for n, item in enumerate(node.value)]
        return self._scalar(node, path)

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._complain(path, key_node, "a key that is a list or mapping", "keys are words")
                continue
            # A key is the text as written: `0: zero` means the transcript "0", never a number.
            key = str(key_node.value)
            line = key_node.start_mark.line + 1
            if key in values:
                found = f"the key twice (lines {self.lines[(*path, key)]} and {line})"
                allowed = "a key stands once; remove one"
                place = (*path, key)
                self.problems[place] = FieldProblem(dotted(place), found, allowed)
            self.lines[(*path, key)] = line
            values[key] = self._value(value_node, (*path, key))
        return values

    def _scalar(self, node: yaml.Node, path: KeyPath) -> Any:
        kind = node.tag.removeprefix("tag:yaml.org,2002:")
        if kind not in _SCALARS:
            self._complain(path, node, f"the tag {node.tag}", "values have no tags; remove it")
            return None
        if any("\ud800" <= letter <= "\udfff" for letter in node.value):
            self._complain(path, node, "half of a surrogate pair", "write the letter itself")
            return None
        try:
            return _SCALARS[kind](node.value)
        except ValueError:
            self._complain(path, node, f"{node.value!r} tagged as {kind}", "remove the tag")
            return None

    def _complain(self, path: KeyPath, node: yaml.Node, found: str, allowed: str) -> None:
        place = f"{found} (line {node.start_mark.line + 1})"
        self.problems[path] = FieldProblem(dotted(path) or "(file)", place, allowed)


def dotted(path: KeyPath) -> str:
    """A path as people write it: `train.augment.speed[1]`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")


def _integer(text: str) -> int:
    # int(…, 0) would refuse 007, which YAML 1.2 reads as 7.
    return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))


def _number(text: str) -> float:
    return float(re.sub(r"\.(inf|nan)$", r"\1", text.lower()))


_SCALARS: dict[str, Callable[[str], Any]] = {
    "null": lambda _: None,
    "bool": lambda text: text.lower() == "true",
    "int": _integer,
    "float": _number,
    "str": str,
}


def _kind_of(value: Any) -> str:
    return "list" if isinstance(value, list) else "single value"


def _syntax_problem(error: yaml.YAMLError, text: str) -> FieldProblem:
    mark = getattr(error, "problem_mark", None)
    reason = str(getattr(error, "problem", None) or getattr(error, "reason", None) or error)
    while_doing = getattr(error, "context", None)
    told = f"{while_doing}: {reason}" if while_doing else reason
    advice = f"YAML, {told}; look at indentation, colons and quotes"
    if mark is None:
        return FieldProblem("(file)", "text that is not YAML", advice)
    lines = text.splitlines()
    shown = lines[mark.line].strip() if mark.line < len(lines) else "the end of the file"
    return FieldProblem(f"(line {mark.line + 1}, column {mark.column + 1})", shown, advice)
