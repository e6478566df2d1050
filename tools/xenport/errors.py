"""The one exception for input that a user can mend."""

from pathlib import Path


class InputError(Exception):
    """Bad input: a YAML, ELF, trace or image file, an option, a name.

    The command line prints it as one line, ``path:line:column: message`` with the parts that are
    known, and ends with status 2. The message says what is wrong and what was expected.
    """

    def __init__(
        self,
        message: str,
        path: Path | str | None = None,
        line: int | None = None,
        column: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.path = path
        self.line = line
        self.column = column

    def __str__(self) -> str:
        where = [str(part) for part in (self.path, self.line, self.column) if part is not None]
        return ": ".join([":".join(where), self.message]) if where else self.message
