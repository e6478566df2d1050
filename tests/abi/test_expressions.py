"""The integer expressions and type expressions inside the YAML."""

import pytest

from xenport.abi.expressions import (
    Array,
    Handle,
    Named,
    Number,
    Primitive,
    evaluate,
    expression,
    type_expression,
)
from xenport.abi.layout import expression_text, type_text

CONSTANTS = {"ONE": 1, "SIX": 6}


def value(text: str) -> int:
    return evaluate(expression(text), CONSTANTS.__getitem__, lambda _: 16)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7", 7),
        ("0x7FF0", 0x7FF0),
        ("0XEA1", 0xEA1),
        ("-ONE", -1),
        ("~0", -1),
        ("1 + 2 * 3", 7),
        ("(1 + 2) * 3", 9),
        ("10 - 4 - 3", 3),
        ("1 << 2 + 1", 8),
        ("1 | 2 ^ 3 & 6", 1 | (2 ^ (3 & 6))),
        ("SIX & ~(1 << ONE)", 4),
        ("0xFF << 8 >> 4", 0xFF0),
        ("-7 / 2", -3),
        ("-7 % 2", -1),
        ("7 / -2", -3),
        ("sizeof(vcpu_info[3]) * 8", 128),
        ("((((ONE))))", 1),
    ],
)
def test_value(text: str, expected: int) -> None:
    assert value(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "1 +", "(1", "1)", "1 2", "* 3", "sizeof", "sizeof()", "sizeof(3)", "012", "1.5", "1u",
     "a.b", "#", "1 << << 2", "(" * 1000 + "1" + ")" * 1000, "-" * 1000 + "1"],
)  # fmt: skip
def test_bad_expression(text: str) -> None:
    with pytest.raises(ValueError, match="bad expression"):
        expression(text)


@pytest.mark.parametrize("text", ["1 / 0", "1 % (ONE - 1)", "1 << 64", "1 << -1", "1 >> 64"])
def test_undefined_value(text: str) -> None:
    with pytest.raises(ValueError, match=r"division by zero|a shift by"):
        value(text)


def test_types() -> None:
    assert type_expression("uint32") == Primitive("uint32")
    assert type_expression("evtchn_port_t") == Named("evtchn_port_t")
    assert type_expression("uint8[2][3]") == Array(
        Array(Primitive("uint8"), Number(3, "3")), Number(2, "2")
    )
    assert type_expression("uint8[]") == Array(Primitive("uint8"), None)
    assert type_expression("handle(const trap_info)") == Handle(Named("trap_info"), True, False)
    assert type_expression("handle64(void)") == Handle(Primitive("void"), False, True)


@pytest.mark.parametrize(
    "text",
    ["", "3", "handle", "handle()", "handle(const)", "handle(uint8", "uint8[", "uint8]", "void[3]",
     "uint8 x", "const uint8", "handle(" * 1000],
)  # fmt: skip
def test_bad_type(text: str) -> None:
    with pytest.raises(ValueError, match="bad type"):
        type_expression(text)


@pytest.mark.parametrize(
    "text", ["uint8[2][N * (1 + 3)]", "handle64(const void)", "handle(x)[4]", "uint8[]"]
)
def test_type_text(text: str) -> None:
    assert type_text(type_expression(text)) == text


@pytest.mark.parametrize("text", ["1 << (2 + 1)", "~(1 | 2)", "-1", "sizeof(x[2]) / 0x10"])
def test_expression_text(text: str) -> None:
    assert expression_text(expression(text)) == text
