"""The grammar of ``abi/README.md`` as pydantic models: what one YAML file may say.

Short forms are made long here: a thing with releases is always a list of alternatives, a scalar
always the mapping it abbreviates. What needs to look beyond one file is checked elsewhere.
"""

import re
from collections.abc import Callable
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, BeforeValidator, ConfigDict, PlainValidator, model_validator

from xenport.abi import expressions
from xenport.abi.releases import ReleaseName, rank
from xenport.yamlsource import Hex, Strict, suggestion

Direction = Literal["in", "out", "inout"]
Resource = Literal["port", "grant", "mapping", "domain", "frame"]
OBJECTS = ("domain", "vcpu", "pcpu", "port", "virq", "pirq", "frame", "param")
STATES = (
    *("free", "reserved", "unbound", "interdomain", "virq", "pirq", "ipi", "xen"),  # of ports
    *("global", "bound", "initialised", "up", "registered"),  # of virqs and vcpus
    *("foreign", "dying", "caller", "control", "hardware"),  # of domains
    *("hvm", "fifo", "console", "pirqs"),
)
FEATURE = re.compile(r"[a-z][a-z0-9]*")
"""What Xen itself may have: the states of ``xen``."""
XEN = "xen"
"""What a condition names that is about how Xen was built and started, and for which machine."""
COMPARISONS = ("is", "is_not", "above", "below")


_INTERFACE = re.compile(r"(below|from) 0x[0-9a-f]{8}")
_OCTAL = re.compile(r"\\[0-3][0-7]{2}")


def c_text(text: str) -> str:
    """The characters that ``text`` stands for as a C string without its quotes."""
    return _OCTAL.sub(lambda octal: chr(int(octal[0][1:], 8)), text)


def _expression(text: str) -> str:
    expressions.expression(text)
    return text


def _type(text: str) -> str:
    expressions.type_expression(text)
    return text


def _integer(value: Any) -> int | str:
    """An integer as written, or an expression."""
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise ValueError("expected an integer or an expression")
    if isinstance(value, str):
        return _expression(value)
    return value


def _value(value: Any) -> int | str:
    """The value of a constant: an integer, an expression, or a text in double quotes."""
    if isinstance(value, str) and len(value) >= 2 and value[0] == value[-1] == '"':
        plain = _OCTAL.sub("", value[1:-1])
        if '"' in plain or "\\" in plain or not plain.isascii() or not plain.isprintable():
            raise ValueError(
                "expected printable ASCII without '\"' in a C text, and '\\' only before three"
                " octal digits"
            )
        return value
    return _integer(value)


def _states(value: Any) -> Any:
    for name in value if isinstance(value, list) else [value]:
        if name not in STATES:
            raise ValueError(f"'{name}' is no state{suggestion(str(name), STATES)}")
    return value


def _numbers(value: Any) -> Any:
    for number in value if isinstance(value, list) else [value]:
        _integer(number)
    return value


def _object(value: Any) -> Any:
    if value not in OBJECTS:
        raise ValueError(f"'{value}' is no kind of object; there are: {', '.join(OBJECTS)}")
    return value


_CONDITIONS: dict[str, Callable[[Any], Any]] = {
    "no_such": _object,
    **dict.fromkeys(COMPARISONS, _numbers),
    "state": _states,
    "not_state": _states,
    "misaligned": _integer,
    "reserved_bits": _integer,
}
_HANDLE_CONDITIONS = ("unreadable", "unwritable")


def _condition(condition: Any) -> Any:
    """One condition of ``when``."""
    if condition in _HANDLE_CONDITIONS:
        return condition
    known = ", ".join((*_CONDITIONS, *_HANDLE_CONDITIONS))
    if not isinstance(condition, dict) or not condition:
        raise ValueError(f"bad condition; there are: {known}")
    for kind, value in condition.items():
        if kind not in _CONDITIONS:
            raise ValueError(f"unknown condition '{kind}'; there are: {known}")
        _CONDITIONS[kind](value)
    return condition


def _feature(condition: Any) -> None:
    """What Xen has, or has not."""
    if not isinstance(condition, dict) or set(condition) not in ({"state"}, {"not_state"}):
        raise ValueError("expected the state or not_state of Xen")
    for name in condition.values():
        if not isinstance(name, str) or not FEATURE.fullmatch(name):
            raise ValueError(f"'{name}' is no word for what Xen may have")


def _when(when: Any) -> Any:
    if isinstance(when, str) and when:
        return when
    if not isinstance(when, dict) or not when:
        raise ValueError("expected a mapping from a field to a condition, or a sentence")
    for field, condition in when.items():
        if not isinstance(field, str):
            raise ValueError(f"expected the name of a field, found {field}")
        if field == XEN:
            _feature(condition)
        else:
            _condition(condition)
    return when


def _long_form(key: str) -> Callable[[Any], Any]:
    """A validator that makes ``scalar`` into ``{key: scalar}``."""

    def lengthen(value: Any) -> Any:
        return {key: value} if isinstance(value, (str, int)) else value

    return lengthen


def _alternatives(key: str | None = None) -> Callable[[Any], Any]:
    """A validator that makes one thing a list of one; ``key`` as in ``_long_form``."""

    def listed(value: Any) -> Any:
        if isinstance(value, list):
            return value
        if key is not None and isinstance(value, (str, int)):
            return [{key: value}]
        return [value]

    return listed


def _as_text(value: Any) -> Any:
    return getattr(value, "text", str(value)) if type(value) in (int, Hex) else value


TypeText = Annotated[str, AfterValidator(_type)]
ExpressionText = Annotated[str, BeforeValidator(_as_text), AfterValidator(_expression)]
Integer = Annotated[int | str, PlainValidator(_integer)]
Value = Annotated[int | str, PlainValidator(_value)]
When = Annotated[str | dict[str, Any], PlainValidator(_when)]
HeaderPath = Annotated[str, AfterValidator(lambda path: _header_path(path))]
Identifier = Annotated[str, AfterValidator(lambda name: _identifier(name))]
InterfaceText = Annotated[str, AfterValidator(lambda text: _interface(text))]


def _identifier(name: str) -> str:
    if not name.isidentifier() or not name.isascii():
        raise ValueError(f"'{name}' is no C name")
    return name


def _header_path(path: str) -> str:
    if not re.fullmatch(r"([A-Za-z0-9_][\w.-]*/)*[A-Za-z0-9_][\w.-]*\.h", path):
        raise ValueError(f"'{path}' is no path of a header, such as hvm/params.h")
    return path


def _interface(text: str) -> str:
    if not _INTERFACE.fullmatch(text):
        raise ValueError(
            f"expected 'below VERSION' or 'from VERSION' with 8 digits, such as below 0x00040300,"
            f" found '{text}'"
        )
    return text


class Interface(NamedTuple):
    """The versions of the interface that a thing is for: all below ``version``, or all from it."""

    is_below: bool
    version: int

    @classmethod
    def of(cls, text: str) -> "Interface":
        """What ``interface_version`` says."""
        word, version = text.split()
        return cls(word == "below", int(version, 16))

    def holds(self, version: int) -> bool:
        """Whether ``version`` is one of them."""
        return (version < self.version) == self.is_below


class Ranged(Strict):
    """What may hold for some releases only, and on some architectures only."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    since: ReleaseName | None = None
    until: ReleaseName | None = None
    arches: list[str] | None = None  # architectures, or families of them
    requires: str | None = None
    unless: str | None = None

    @model_validator(mode="after")
    def _ordered(self) -> "Ranged":
        if self.since and self.until and rank(self.since) > rank(self.until):
            raise ValueError(f"until {self.until} is before since {self.since}")
        return self


class Versioned(Ranged):
    """What guests may see through some versions of the interface only."""

    interface_version: InterfaceText | None = None


def interface_of(spec: Ranged) -> Interface | None:
    """The versions of the interface that ``spec`` is for; ``None``: all."""
    if isinstance(spec, Versioned) and spec.interface_version is not None:
        return Interface.of(spec.interface_version)
    return None


class TypeSpec(Versioned):
    """A typedef."""

    type: TypeText
    resource: Resource | None = None
    doc: str = ""


class ValueSpec(Versioned):
    """A constant."""

    value: Value
    suffix: Literal["U", "UL", "ULL"] | None = None
    default: bool = False  # only where whoever includes the header has not defined it
    doc: str = ""


Values = Annotated[list[ValueSpec], BeforeValidator(_alternatives("value"))]


class EachSpec(Strict):
    """A macro that whoever includes a header may define, and that is then used for each value."""

    macro: Identifier
    prefix: Identifier  # which the macro is not given
    keep: bool = False  # the macro is still defined afterwards


class GroupSpec(Versioned):
    """Constants that belong together."""

    name: str
    kind: Literal["defines", "enum", "enumerators"] = "defines"  # enumerators: without a tag
    typedef: bool = False  # of an enum: its name is a typedef as well
    doc: str = ""
    each: EachSpec | None = None
    values: dict[Identifier, Values]

    @model_validator(mode="after")
    def _tag(self) -> "GroupSpec":
        if self.kind == "enum":
            _identifier(self.name)
        elif self.typedef:
            raise ValueError("typedef stands only on an enum")
        return self


class FieldSpec(Versioned):
    """A member of a structure or union: of a type, or a structure or union of its own."""

    name: Identifier | None = None
    type: TypeText | None = None
    union: "list[FieldSpec] | None" = None
    struct: "list[FieldSpec] | None" = None
    length: ExpressionText | None = None  # of an array of nested structures
    dir: Direction | None = None
    bits: int | None = None
    count: ExpressionText | None = None
    resource: Resource | None = None
    varies: bool = False
    doc: str = ""

    @model_validator(mode="after")
    def _one_kind(self) -> "FieldSpec":
        if sum(kind is not None for kind in (self.type, self.union, self.struct)) != 1:
            raise ValueError("expected one of the keys type, union and struct")
        if self.name is None and self.type is not None:
            raise ValueError("a member of a type needs a name")
        if self.bits is not None and self.type is None:
            raise ValueError("bits stands only on a member of a type")
        if self.length is not None and (self.type is not None or self.name is None):
            raise ValueError("length stands only on a named union or struct")
        return self


class RuleSpec(Ranged):
    """Behaviour that a layout does not show, and that may change from release to release."""

    doc: str


class StructSpec(Versioned):
    """A structure or union."""

    doc: str = ""
    typedef: Identifier | Literal[False] | None = None
    helper: bool = False  # private to one side: it never crosses the boundary
    unnamed_until: ReleaseName | None = None  # the last release whose headers give it no name
    rules: list[RuleSpec] = []
    fields: list[FieldSpec]


Structs = Annotated[list[StructSpec], BeforeValidator(_alternatives())]


class CallerSpec(Ranged):
    """A kind of guest."""

    guest: str


Callers = list[Annotated[CallerSpec, BeforeValidator(_long_form("guest"))]]


class ErrorSpec(Ranged):
    """An error a caller can provoke; ``callers`` only where not all of the command's can."""

    errno: str
    when: When | None = None
    callers: Callers | None = None
    doc: str = ""


class StatusSpec(Ranged):
    """A result that Xen writes into one entry of the argument, while the call itself returns 0."""

    status: Identifier  # a constant
    when: When
    callers: Callers | None = None


class ReturnsSpec(Ranged):
    """What success returns when it is not 0."""

    doc: str


class CallArgumentSpec(Ranged):
    """An argument of a hypercall."""

    name: Identifier
    type: TypeText
    role: Literal["command", "argument"] | None = None
    dir: Direction | None = None
    count: ExpressionText | None = None
    holds: TypeText | None = None  # the structure in the buffer that the first element names
    resource: Resource | None = None
    doc: str = ""


class ArgumentSpec(Strict):
    """What the argument of a command points to."""

    type: TypeText | None = None
    member: str | None = None
    dir: Direction | None = None
    count: ExpressionText | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> "ArgumentSpec":
        if (self.type is None) == (self.member is None):
            raise ValueError("expected one of the keys type and member")
        return self


class CommandSpec(Ranged):
    """A command of a hypercall."""

    number: Integer
    internal: bool = False  # public headers show it to Xen itself only
    doc: str = ""
    arg: Annotated[ArgumentSpec | None, BeforeValidator(_long_form("type"))] = None
    callers: Callers | None = None
    privilege: Literal["any", "control"] | None = None
    returns: ReturnsSpec | None = None
    rules: list[RuleSpec] = []
    statuses: list[StatusSpec] = []
    errors: list[ErrorSpec] = []


Commands = Annotated[list[CommandSpec], BeforeValidator(_alternatives())]


class HypercallSpec(Ranged):
    """A hypercall."""

    number: Integer
    doc: str = ""
    callers: Callers
    privilege: Literal["any", "control"] = "any"
    args: list[CallArgumentSpec] = []
    selector: str | None = None
    unknown_command: Annotated[list[ErrorSpec], BeforeValidator(_alternatives("errno"))] = []
    returns: ReturnsSpec | None = None
    errors: list[ErrorSpec] = []
    commands: dict[Identifier, Commands] = {}


class MacroSpec(Versioned):
    """A macro of C that is no constant: with parameters, or another name for something."""

    params: list[Identifier] | None = None
    value: str
    default: bool = False  # only where whoever includes the header has not defined it
    doc: str = ""


class RingSpec(Ranged):
    """A ring of requests and responses: the types that DEFINE_RING_TYPES makes."""

    request: TypeText
    response: TypeText
    doc: str = ""


class ByteRingSpec(Ranged):
    """Two rings of bytes: the types that DEFINE_XEN_FLEX_RING makes, with the page of indexes."""

    interface: bool = False  # DEFINE_XEN_FLEX_RING_AND_INTF
    doc: str = ""


class SaveRecordSpec(Ranged):
    """A record of a saved HVM domain: DECLARE_HVM_SAVE_TYPE."""

    code: int
    type: TypeText
    compat: TypeText | None = None  # an older form that is still read
    doc: str = ""


Macros = Annotated[list[MacroSpec], BeforeValidator(_alternatives("value"))]
Rings = Annotated[list[RingSpec], BeforeValidator(_alternatives())]
ByteRings = Annotated[list[ByteRingSpec], BeforeValidator(_alternatives())]
SaveRecords = Annotated[list[SaveRecordSpec], BeforeValidator(_alternatives())]


class FileSpec(Ranged):
    """One public header."""

    header: HeaderPath
    doc: str = ""
    includes: list[str] = []
    tools: bool = False
    types: dict[Identifier, Annotated[list[TypeSpec], BeforeValidator(_alternatives("type"))]] = {}
    constants: list[GroupSpec] = []
    structs: dict[Identifier, Structs] = {}
    unions: dict[Identifier, Structs] = {}
    rings: dict[Identifier, Rings] = {}
    byte_rings: dict[Identifier, ByteRings] = {}
    save_records: dict[Identifier, SaveRecords] = {}
    macros: dict[Identifier, Macros] = {}
    hypercalls: dict[
        Identifier, Annotated[list[HypercallSpec], BeforeValidator(_alternatives())]
    ] = {}
