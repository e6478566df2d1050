"""Conditions on records: ``hypercall == 'event_channel_op' and error``.

The language is a part of Python's expressions: names, numbers, texts, comparisons, ``in``, ``and``,
``or``, ``not``, ``+``, ``-``, ``&``, ``|``, ``arguments[0]``. Nothing can be called, so that a
condition cannot do anything but be true or not.
"""

import ast
from collections.abc import Callable, Mapping
from typing import Any

from xenport.errors import InputError
from xenport.trace.record import Record
from xenport.yamlsource import suggestion

NAMES = frozenset({*Record._fields, "hypercall", "command", "error", "duration"} - {"buffers"})
"""What a condition can ask for; those that are no fields of a record are `decode.facts`'s."""

_ALLOWED = (
    ast.Expression,
    ast.BoolOp,
    ast.And,
    ast.Or,
    ast.UnaryOp,
    ast.Not,
    ast.USub,
    ast.Compare,
    ast.cmpop,
    ast.BinOp,
    ast.Add,
    ast.Sub,
    ast.BitAnd,
    ast.BitOr,
    ast.Name,
    ast.Load,
    ast.Constant,
    ast.Tuple,
    ast.List,
    ast.Subscript,
)
_LONGEST = 1000  # characters

Condition = Callable[[Mapping[str, Any]], bool]


def condition(text: str) -> Condition:
    """The condition ``text``. Raises ``InputError`` if it is none.

    It does not hold for a record that does not have what it asks for (a time that is null).
    """
    if len(text) > _LONGEST:
        raise InputError(f"--where: the condition has more than {_LONGEST} characters")
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else str(error)
        raise InputError(f"--where '{text}': {reason}") from None
    for node in ast.walk(tree):
        if not isinstance(node, _ALLOWED):
            raise InputError(
                f"--where '{text}': {ast.unparse(node)} is not part of a condition; see --help"
            )
        if isinstance(node, ast.Name) and node.id not in NAMES:
            raise InputError(
                f"--where '{text}': there is no '{node.id}'{suggestion(node.id, NAMES)}; "
                f"there are {', '.join(sorted(NAMES))}"
            )
    code = compile(tree, "--where", "eval")

    def holds(facts: Mapping[str, Any]) -> bool:
        try:
            return bool(eval(code, {"__builtins__": {}}, dict(facts)))
        except (TypeError, IndexError):
            return False

    return holds
