"""Bitmaps of ``unsigned long`` in guest memory, in the guest's order of bytes."""

from __future__ import annotations

import struct

WORD_BITS = 64
_ALL = (1 << WORD_BITS) - 1


class Bits:
    """Operations on bit ``n`` of the bitmap that starts at ``data[start]``; words of 64 bits."""

    def __init__(self, byte_order: str) -> None:
        word = struct.Struct(("<" if byte_order == "little" else ">") + "Q")
        self._unpack = word.unpack_from
        self._pack = word.pack_into

    def test(self, data: memoryview, start: int, bit: int) -> bool:
        """Is it set?"""
        word: int = self._unpack(data, start + (bit // WORD_BITS) * 8)[0]
        return bool(word >> bit % WORD_BITS & 1)

    def test_and_set(self, data: memoryview, start: int, bit: int) -> bool:
        """Set it; was it set?"""
        at = start + (bit // WORD_BITS) * 8
        word: int = self._unpack(data, at)[0]
        mask = 1 << bit % WORD_BITS
        if word & mask:
            return True
        self._pack(data, at, word | mask)
        return False

    def test_and_clear(self, data: memoryview, start: int, bit: int) -> bool:
        """Clear it; was it set?"""
        at = start + (bit // WORD_BITS) * 8
        word: int = self._unpack(data, at)[0]
        mask = 1 << bit % WORD_BITS
        if not word & mask:
            return False
        self._pack(data, at, word & ~mask)
        return True

    def fill(self, data: memoryview, start: int, words: int) -> None:
        """Set all bits of ``words`` words."""
        for index in range(words):
            self._pack(data, start + index * 8, _ALL)
