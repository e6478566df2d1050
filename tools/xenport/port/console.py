"""From the bytes of a console to the lines of its writers."""

import re
from collections.abc import Iterator

from xenport.port.session import Source

LONGEST = 4096
"""Characters of a line that are kept; more are dropped."""

_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[ -/]*[0-~])")


class Lines:
    """Cuts bytes into clean lines."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[str]:
        """The lines that ``data`` completes."""
        *complete, rest = data.split(b"\n")
        for line in complete:
            text = self._rest + line
            self._rest = b""
            yield clean(text)
        # Escape sequences and multi-byte characters may shrink a line, hence the factor.
        self._rest = (self._rest + rest)[: 4 * LONGEST]

    def end(self) -> Iterator[str]:
        """The last line, if it has no line end."""
        text, self._rest = clean(self._rest), b""
        if text:
            yield text


def clean(line: bytes) -> str:
    """``line`` as text: nothing but printable characters and tabs, not too many."""
    text = line.rstrip(b"\r").decode("utf-8", errors="replace")
    if not text.isprintable():
        text = _ESCAPE.sub("", text)
        text = "".join(char for char in text if char.isprintable() or char == "\t")
    return text[:LONGEST]


class Writers:
    """Tells who wrote a line by what stands in front of it."""

    def __init__(self, hypervisor: str, domain: str | None, *, alone: bool = False) -> None:
        """``hypervisor`` is the prefix of the hypervisor's own lines, empty if it writes none.

        ``domain`` is the prefix of the domain under test; ``None`` means that this is dom0, whose
        lines have no prefix. With a prefix, the lines without one are the supervisor's. A
        hypervisor that is ``alone`` writes all of them.
        """
        self._prefixes: list[tuple[str, Source]] = []
        if hypervisor:
            self._prefixes.append((hypervisor, "hypervisor"))
        if domain is not None:
            self._prefixes.append((domain, "guest"))
        self.judged: Source = "hypervisor" if alone else "guest"
        """Whose silence ends a boot."""
        self._bare: Source = self.judged if domain is None else "supervisor"

    def split(self, line: str) -> tuple[Source, str]:
        """The writer of ``line`` and the line without the prefix."""
        for prefix, source in self._prefixes:
            if line.startswith(prefix):
                return source, line[len(prefix) :]
            if line == prefix.rstrip():  # an empty line whose blank was cut off
                return source, ""
        return self._bare, line
