"""YAML files as a person writes them: read strictly, with the place of every mistake.

``load(path, Model)`` reads a file and validates it with a pydantic model. Every mistake, from a tab
to a value of the wrong type, becomes one ``InputError`` with file, line and column and with what
was expected there. A ``Document`` gives the same to checks that pydantic cannot make:
``error(message, "structs", "evtchn_send", "fields", 0, "type")`` points at that value.

The language is a small part of YAML 1.2: mappings, lists, and scalars that are null, ``true`` or
``false``, integers (decimal or ``0x``), decimal fractions, or else text. ``yes``, ``on``, ``010``
and ``12:30`` are text. Anchors, aliases, tags and several documents in a file are refused.
"""

import difflib
import re
import types
from collections.abc import Hashable, Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, TypeVar, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from xenport.errors import InputError

Key: TypeAlias = str | int
Model = TypeVar("Model", bound=BaseModel)

_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]*)\Z")
_HEX = re.compile(r"-?0[xX][0-9a-fA-F]+\Z")
_FRACTION = re.compile(r"-?[0-9]+\.[0-9]+\Z")
_WORDS: dict[str, Any] = {"": None, "~": None, "null": None, "true": True, "false": False}
_ANCHOR_LIKE = re.compile(r"(?:^|[\s\[{,])[&*][^\s&*]", re.MULTILINE)
_DEEPEST = 100
_NO_BRACKETS = re.compile(r"[^\[\]{}]+")
_DEEP_BLOCKS = re.compile(r"(?:[-?] +){100}|^ {300}", re.MULTILINE)


class Strict(BaseModel):
    """Base of models of hand-written files: unknown keys are mistakes, objects do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Hex(int):
    """An integer written in hexadecimal; ``text`` is how it was written."""

    text: str

    def __new__(cls, text: str) -> "Hex":
        number = super().__new__(cls, text, 16)
        number.text = text
        return number

    def __deepcopy__(self, _memo: object) -> "Hex":
        return self


_TAGS = {yaml.ScalarNode: "text", yaml.SequenceNode: "list", yaml.MappingNode: "mapping"}


class _NoResolver:
    """In place of PyYAML's resolver, which guesses by YAML 1.1 what a plain scalar is."""

    def resolve(self, kind: type[yaml.Node], _value: str | None, _implicit: Any) -> str:
        return _TAGS[kind]

    def descend_resolver(self, _node: Any, _index: Any) -> None:
        pass

    def ascend_resolver(self) -> None:
        pass


if yaml.__with_libyaml__:
    from yaml.cyaml import CParser  # type: ignore[attr-defined]

    class _Parser(CParser, _NoResolver):
        """libyaml's parser."""

else:  # PyYAML was built without libyaml: the same, ten times slower
    from yaml.composer import Composer
    from yaml.parser import Parser
    from yaml.reader import Reader
    from yaml.scanner import Scanner

    class _Parser(Reader, Scanner, Parser, Composer, _NoResolver):  # type: ignore[no-redef]
        """PyYAML's own parser."""

        def __init__(self, text: str) -> None:
            Reader.__init__(self, text)
            Scanner.__init__(self)
            Parser.__init__(self)
            Composer.__init__(self)


class Document:
    """A YAML file that was read: its data, and the place of everything in it."""

    def __init__(self, path: Path, source: str | None = None) -> None:
        """Read ``path``, or ``source`` in its place.

        Raises ``InputError`` for anything that is not well-formed.
        """
        self.path = path
        self.source = _text(path) if source is None else source
        self._root = _compose(path, self.source)
        self.data: Any = self._construct(self._root)

    @property
    def root(self) -> yaml.Node:
        """The nodes of the file: the same shape as ``data``, in the same order."""
        return self._root

    def error(self, message: str, *where: Key, key: bool = False) -> InputError:
        """The error ``message`` at the place ``where`` leads to: mapping keys and list indexes.

        Steps that lead nowhere are left out, so a path into a normalised form is understood too.
        With ``key`` the place is that of the last key itself, not of its value.
        """
        node, at_key, _ = self._find(where)
        mark = (at_key if key and at_key is not None else node).start_mark
        return InputError(message, self.path, mark.line + 1, mark.column + 1)

    def text(self, *where: Key) -> str:
        """The scalar at ``where`` as it was written."""
        node = self._find(where)[0]
        return str(node.value) if isinstance(node, yaml.ScalarNode) else ""

    def parse(self, model: type[Model]) -> Model:
        """The data as a ``model``. Raises ``InputError`` for the first mistake."""
        try:
            return model.model_validate(self.data)
        except ValidationError as error:
            raise self._explain(model, error) from None

    def _construct(self, node: yaml.Node) -> Any:
        """Plain Python data of ``node``."""
        if isinstance(node, yaml.ScalarNode):
            if node.tag != "text":
                raise self._at(node, f"a tag ({node.tag}); tags are not used here")
            return _scalar(node)
        if isinstance(node, yaml.SequenceNode):
            return [self._construct(item) for item in node.value]
        data: dict[Hashable, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise self._at(key_node, "a list or mapping as a key; expected a name")
            key = _scalar(key_node)
            if key in data:
                raise self._at(key_node, f"the key '{key_node.value}' is here a second time")
            data[key] = self._construct(value_node)
        return data

    def _at(self, node: yaml.Node, message: str) -> InputError:
        mark = node.start_mark
        return InputError(message, self.path, mark.line + 1, mark.column + 1)

    def _find(self, where: Iterable[Key]) -> tuple[yaml.Node, yaml.Node | None, int]:
        """The node at ``where``, the node of its key, and how many steps led somewhere."""
        node, at_key, steps = self._root, None, 0
        for step in where:
            if isinstance(node, yaml.MappingNode):
                for key_node, value_node in node.value:
                    if isinstance(key_node, yaml.ScalarNode) and _scalar(key_node) == step:
                        node, at_key, steps = value_node, key_node, steps + 1
                        break
            elif (
                isinstance(node, yaml.SequenceNode)
                and isinstance(step, int)
                and 0 <= step < len(node.value)
            ):
                node, at_key, steps = node.value[step], None, steps + 1
        return node, at_key, steps

    def _explain(self, model: type[BaseModel], failure: ValidationError) -> InputError:
        """One error out of all that pydantic found: a misspelt key first, then the deepest."""

        def rank(error: Any) -> tuple[bool, int, int]:
            node, _, steps = self._find(error["loc"])
            return error["type"] != "extra_forbidden", -steps, node.start_mark.index

        error = min(failure.errors(include_url=False), key=rank)
        where, kind = error["loc"], error["type"]
        if kind == "extra_forbidden":
            known = _known_keys(model, where[:-1])
            return self.error(
                f"unknown key '{where[-1]}'{suggestion(str(where[-1]), known)}", *where, key=True
            )
        if kind == "missing":
            return self.error(f"the key '{where[-1]}' is missing", *where[:-1])
        return self.error(self._expectation(error), *where)

    def _expectation(self, error: Any) -> str:
        """What was expected where pydantic found something else."""
        kind, context = error["type"], error.get("ctx", {})
        if kind == "value_error":
            return str(context["error"])
        expected = _EXPECTED.get(kind)
        if kind in ("literal_error", "enum"):
            expected = context["expected"].replace("'", "")
        if expected is None:
            return f"{error['msg'][:1].lower()}{error['msg'][1:]}"
        found = error["input"]
        if kind == "string_type" and isinstance(found, (int, float)):
            written = self.text(*error["loc"])
            return f'{written} is not text here; put it in quotes: "{written}"'
        return f"expected {expected}, found {_name(found)}"


_EXPECTED = {
    "string_type": "text",
    "int_type": "an integer",
    "int_parsing": "an integer",
    "int_from_float": "an integer",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "float_type": "a number",
    "float_parsing": "a number",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "mapping_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "dataclass_type": "a mapping",
    "none_required": "nothing",
}


def load(path: Path, model: type[Model]) -> Model:
    """The file ``path`` as a ``model``. Raises ``InputError`` for the first mistake in it."""
    return Document(path).parse(model)


def suggestion(name: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown name: the nearest known one, or what there is."""
    names = sorted(set(known))
    near = difflib.get_close_matches(name, names, 1, 0.6)
    if near:
        return f"; did you mean '{near[0]}'?"
    return f"; there are: {', '.join(names)}" if 0 < len(names) <= 12 else ""


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read: {error.strerror}", path) from None
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        before = data[: error.start]
        column = error.start - (before.rfind(b"\n") + 1) + 1
        line = before.count(b"\n") + 1
        raise InputError(
            f"byte 0x{data[error.start]:02x} is not UTF-8", path, line, column
        ) from None


def _compose(path: Path, text: str) -> yaml.Node:
    """The nodes of the one document in ``text``."""
    if _is_deep(text):  # the parser recurses in C without a limit of its own
        raise InputError(f"nested deeper than {_DEEPEST} levels", path, *_longest_line(text))
    try:
        if _ANCHOR_LIKE.search(text):
            _refuse_anchors(path, text)
        node = _Parser(text).get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        lines = text.split("\n")
        bad = lines[line - 1] if line <= len(lines) else ""
        if bad[column - 1 : column] == "\t" or "\t" in bad[: len(bad) - len(bad.lstrip())]:
            message = "a tab; indent with spaces"
        else:
            context = f" {error.context}" if error.context else ""
            message = f"not YAML: {error.problem}{context}"
        raise InputError(message, path, line, column) from None
    except yaml.reader.ReaderError as error:
        line, column = _place(text, error.position)
        raise InputError(
            f"character {error.character!r} is not allowed", path, line, column
        ) from None
    if node is None:
        raise InputError("the file is empty", path, 1, 1)
    return node


def _is_deep(text: str) -> bool:
    """Whether lists and mappings may be nested deeper than any description needs."""
    if _DEEP_BLOCKS.search(text):
        return True
    brackets = _NO_BRACKETS.sub("", text)
    for _ in range(_DEEPEST):  # each round takes the innermost pairs away
        fewer = brackets.replace("[]", "").replace("{}", "")
        if fewer == brackets:
            break
        brackets = fewer
    return len(brackets) > _DEEPEST


def _longest_line(text: str) -> tuple[int, int]:
    """Where the longest line is: the likeliest place of what no person wrote."""
    lines = text.split("\n")
    return max(range(len(lines)), key=lambda index: len(lines[index])) + 1, 1


def _refuse_anchors(path: Path, text: str) -> None:
    for event in yaml.parse(text, Loader=_EventLoader):
        anchor = getattr(event, "anchor", None)
        if anchor:
            mark: Any = event.start_mark
            raise InputError(
                f"an anchor or alias ('{anchor}'); write the value out, or in quotes if it is"
                " an expression",
                path,
                mark.line + 1,
                mark.column + 1,
            )


_EventLoader: Any = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader


def _place(text: str, index: int) -> tuple[int, int]:
    before = text[:index]
    return before.count("\n") + 1, index - before.rfind("\n")


def _scalar(node: yaml.ScalarNode) -> Any:
    value: str = node.value
    if node.style not in (None, ""):
        return value
    first = value[:1]
    if first.isdigit() or first == "-":
        if _INTEGER.match(value):
            return int(value)
        if _HEX.match(value):
            return Hex(value)
        if _FRACTION.match(value):
            return float(value)
        return value
    return _WORDS.get(value, value)


def _name(found: Any) -> str:
    """What ``found`` is, in words."""
    if found is None:
        return "nothing"
    if isinstance(found, bool):
        return str(found).lower()
    if isinstance(found, (int, float)):
        return f"the number {getattr(found, 'text', found)}"
    if isinstance(found, str):
        return f"the text '{found if len(found) <= 40 else found[:37] + '...'}'"
    return "a list" if isinstance(found, list) else "a mapping"


def _known_keys(model: Any, where: Iterable[Key]) -> list[str]:
    """The keys that the model reached from ``model`` by ``where`` has."""
    here = [model]
    for step in where:
        after = [inner for annotation in here for inner in _inside(annotation, step)]
        here = after or here  # a step of pydantic's own (which arm of a union) leads nowhere
    return [
        field.alias or name
        for annotation in here
        for arm in _arms(annotation)
        if isinstance(arm, type) and issubclass(arm, BaseModel)
        for name, field in arm.model_fields.items()
    ]


def _arms(annotation: Any) -> list[Any]:
    """The alternatives of a type annotation, without ``Annotated`` and ``|``."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _arms(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return [arm for inner in get_args(annotation) for arm in _arms(inner)]
    return [annotation]


def _inside(annotation: Any, step: Key) -> list[Any]:
    """The annotations one step below: a field, a list's item, a mapping's value."""
    found: list[Any] = []
    for arm in _arms(annotation):
        origin = get_origin(arm)
        if isinstance(arm, type) and issubclass(arm, BaseModel):
            for name, field in arm.model_fields.items():
                if step in (name, field.alias):
                    found.append(field.annotation)
        elif origin is Literal or origin is None:
            continue
        elif isinstance(origin, type) and issubclass(origin, dict):
            found.append(get_args(arm)[1])
        elif isinstance(step, int):
            found.append(get_args(arm)[0])
    return found
