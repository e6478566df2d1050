"""What Xen itself has printed, kept in a ring that tools read."""

from __future__ import annotations

_SIZE = 16384  #: bytes of the ring
_INDEX_MASK = 0xFFFF_FFFF


class Log:
    """The ring. Bytes are counted from the first one ever; an index is such a number."""

    def __init__(self, text: str) -> None:
        self._data = bytearray()
        self._end = 0
        self._start = 0  #: of what was not cleared
        self.print(text)

    def print(self, text: str) -> None:
        """Add ``text``."""
        data = text.encode()
        self._data = (self._data + data)[-_SIZE:]
        self._end += len(data)
        self._start = max(self._start, self._end - len(self._data))

    def read(self, index: int | None, room: int, *, clear: bool) -> tuple[bytes, int]:
        """Up to ``room`` bytes, from ``index`` if that is still there, and the index behind them.
        What comes before that is gone with ``clear``."""
        start = self._start
        if index is not None and start < index <= self._end:
            start = index
        offset = len(self._data) - (self._end - start)
        data = bytes(self._data[offset : offset + room])
        end = start + len(data)
        if clear:
            self._start = end
        return data, end & _INDEX_MASK
