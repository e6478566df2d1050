"""Which tests a person asks for: ``-k``, an expression as pytest's, over names of this suite's own.

pytest's own ``-k`` looks at the names of folders too: whoever keeps ports in a folder named
``events`` would ask for all of them.
"""

from collections.abc import Collection

from _pytest.mark.expression import Expression

from xenport.errors import InputError


class Selection:
    """What an expression selects. A word of it stands for every name that it is a part of."""

    def __init__(self, expression: str | None) -> None:
        """Raises `InputError` for an expression that is none."""
        self._expression = None
        if expression is None or not expression.strip():
            return
        try:
            self._expression = Expression.compile(expression)
        except SyntaxError as error:
            at = f"at column {error.offset}: {error.msg}"
            raise InputError(f"-k: no expression: '{expression}': {at}") from None

    def takes(self, names: Collection[str]) -> bool:
        """Whether something of these names is selected."""
        if self._expression is None:
            return True
        lowered = [name.lower() for name in names]
        return self._expression.evaluate(
            lambda word, /, **_: any(word.lower() in name for name in lowered)
        )

    def asks_for(self, own: Collection[str], where: Collection[str]) -> bool:
        """Whether it is for its own names that something is selected, not for where it is."""
        return self.takes([*own, *where]) and not self.takes(where)
