"""Bitmaps of ``unsigned long`` in guest memory, in the guest's order of bytes."""

from __future__ import annotations

import struct


class Bits:
    """Operations on bit ``n`` of the bitmap that starts at ``data[start]``.

    Its words have ``size`` bytes, 4 or 8.
    """

    def __init__(self, byte_order: str, size: int) -> None:
        order = "<" if byte_order == "little" else ">"
        word = struct.Struct(order + {4: "I", 8: "Q"}[size])
        self._unpack = word.unpack_from
        self._pack = word.pack_into
        self._size = size
        self.word_bits = 8 * size

    def test(self, data: memoryview, start: int, bit: int) -> bool:
        """Is it set?"""
        word: int = self._unpack(data, start + bit // self.word_bits * self._size)[0]
        return bool(word >> bit % self.word_bits & 1)

    def test_and_set(self, data: memoryview, start: int, bit: int) -> bool:
        """Set it; was it set?"""
        at = start + bit // self.word_bits * self._size
        word: int = self._unpack(data, at)[0]
        mask = 1 << bit % self.word_bits
        if word & mask:
            return True
        self._pack(data, at, word | mask)
        return False

    def test_and_clear(self, data: memoryview, start: int, bit: int) -> bool:
        """Clear it; was it set?"""
        at = start + bit // self.word_bits * self._size
        word: int = self._unpack(data, at)[0]
        mask = 1 << bit % self.word_bits
        if not word & mask:
            return False
        self._pack(data, at, word & ~mask)
        return True

    def fill(self, data: memoryview, start: int, words: int) -> None:
        """Set all bits of ``words`` words."""
        for index in range(words):
            self._pack(data, start + index * self._size, (1 << self.word_bits) - 1)
