"""C's spelling of values and types in the grammar of the description."""

import re
from collections.abc import Callable

from xenport.abi import expressions
from xenport.abi.facts import Constant, Facts
from xenport.yamlsource import Hex

_TOKEN = re.compile(
    r"\s*(?:(?P<number>0[xX][0-9a-fA-F]+|\d+)(?P<suffix>[uUlL]*)(?![\w.])"
    r"|(?P<name>[A-Za-z_]\w*)|(?P<sign><<|>>|[-+*/%&|^~()\[\]]))"
)
_MAKERS = {"xen_mk_uint": "U", "xen_mk_ulong": "UL", "xen_mk_ullong": "ULL", "_AC": ""}
_SUFFIXES = {"U": 32, "UL": 64, "ULL": 64}
_CASTS = re.compile(
    r"\(\s*(?:(?:unsigned|signed|const)\s+)*(?:int|long|short|char|\w+_t|unsigned|long long)\s*\)"
    r"(?=\s*[-~(\w])"
)
_STRUCT = re.compile(r"\b(?:struct|union)\s+(\w+)")
_WORD = (1 << 64) - 1


def value(constant: Constant, facts: Facts, long_bits: int) -> tuple[int | str, str | None]:
    """The value and suffix of a macro as the description writes them.

    Names and the form of numbers are kept where the result has the same value; a plain number
    stands for everything else.
    """
    if isinstance(constant.value, str):
        return f'"{constant.value}"', None
    text = constant.text.strip()
    if not text:  # an enumerator
        return _signed(constant.value), None
    spelled = _spell(text)
    if spelled is not None:
        expression, suffix = spelled
        for candidate in dict.fromkeys([suffix, None, "U", "UL", "ULL"]):
            if _evaluates(expression, candidate, constant.value, facts, long_bits):
                return _plain(expression), candidate
    hexadecimal = "0x" in text.lower() or constant.value > 99999
    return _number(constant.value, hexadecimal), None


def length(written: str, expected: int, facts: Facts) -> str | None:
    """The length of an array as it is written, if that is more than a number."""
    spelled = _spell(written)
    if spelled is None or not re.search(r"[A-Za-z_]\w", spelled[0].replace("0x", "")):
        return None
    return spelled[0] if _evaluates(spelled[0], None, expected, facts, 64) else None


def _spell(text: str) -> tuple[str, str | None] | None:
    """``text`` in the grammar, and the suffix of its numbers, if the grammar can say it."""
    text = _STRUCT.sub(r"\1", _CASTS.sub("", text))
    for maker, ending in _MAKERS.items():
        text = re.sub(rf"\b{maker}\s*\(\s*(\w+)\s*\)", rf"\1{ending}", text)
    out: list[str] = []
    suffix: str | None = None
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            if not text[at:].strip():
                break
            return None
        at = match.end()
        if match["number"]:
            number = match["number"]
            if len(number) > 1 and number[0] == "0" and number[1] not in "xX":
                number = str(int(number, 8))
            out.append(number)
            letters = match["suffix"].upper()
            if "U" in letters:
                suffix = "U" + "L" * letters.count("L")
        else:
            out.append(match["name"] or match["sign"])
    joined = " ".join(out)
    joined = re.sub(r"([(~\[]) |((?:^|[-(+*/%&|^<>]) ?-) (?=[\w(])", r"\1\2", joined)
    joined = re.sub(r" ([)\]])", r"\1", joined)
    joined = re.sub(r"\bsizeof \(", "sizeof(", joined)
    try:
        expressions.expression(joined)
    except ValueError:
        return None
    return _bare(joined), suffix


def _bare(text: str) -> str:
    """``text`` without brackets around all of it."""
    while text.startswith("(") and text.endswith(")"):
        depth = 0
        for index, letter in enumerate(text):
            depth += (letter == "(") - (letter == ")")
            if depth == 0 and index < len(text) - 1:
                return text
        text = text[1:-1].strip()
    return text


def _evaluates(text: str, suffix: str | None, expected: int, facts: Facts, long_bits: int) -> bool:
    """Whether ``text`` with ``suffix`` has the value ``expected`` in the world of ``facts``."""

    def constant(name: str) -> int:
        found = facts.constants[name].value
        if isinstance(found, str):
            raise ValueError(name)
        return _signed(found)

    try:
        result = expressions.evaluate(expressions.expression(text), constant, _sizes(facts))
    except (KeyError, ValueError, RecursionError):
        return False
    if suffix is not None:
        bits = long_bits if suffix == "UL" else _SUFFIXES[suffix]
        result &= (1 << bits) - 1
    return result & _WORD == expected


def _sizes(facts: Facts) -> Callable[[expressions.Type], int]:
    def size(tree: expressions.Type) -> int:
        if isinstance(tree, expressions.Named):
            if tree.name in facts.structures:
                return facts.structures[tree.name].size
            return facts.typedefs[tree.name][0].size
        raise KeyError(tree)

    return size


def _plain(text: str) -> int | str:
    """A number as an integer, which knows whether it is hexadecimal; anything else as written."""
    if re.fullmatch(r"-?\d+", text):
        return int(text)
    return Hex(text) if re.fullmatch(r"0[xX][0-9a-fA-F]+", text) else text


def _number(number: int, hexadecimal: bool) -> int | str:
    signed = _signed(number)
    if hexadecimal and signed >= 0:
        return Hex(f"{signed:#x}")
    return signed


def _signed(number: int) -> int:
    return number - (1 << 64) if number >> 63 else number
