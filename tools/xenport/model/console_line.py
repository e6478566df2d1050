"""The line buffer of a domain that is not the control domain."""

from __future__ import annotations

from collections.abc import Callable

_SIZE = 200 - 1  #: bytes of a line; longer ones are broken
_TAB = 9
_NEWLINE = 10


class ConsoleLine:
    """Collects what a domain prints and passes it on by line."""

    def __init__(self, sink: Callable[[bytes], None]) -> None:
        self._sink = sink
        self._line = bytearray()

    def write(self, data: bytes | bytearray) -> None:
        """Take ``data``; what is neither printable ASCII nor a tab is dropped."""
        for byte in data:
            if byte == _NEWLINE:
                self._flush()
            elif 32 <= byte < 127 or byte == _TAB:
                self._line.append(byte)
                if len(self._line) >= _SIZE:
                    self._flush()

    def _flush(self) -> None:
        self._sink(bytes(self._line) + b"\n")
        self._line.clear()
