"""Flat images: what a boot loader that knows no ELF puts into memory."""

from pathlib import Path

from elftools.elf.elffile import ELFFile


def flat(elf: Path) -> bytes:
    """The loaded segments of ``elf`` as one block, from the lowest address to the last byte of the
    file; memory behind it (``.bss``) is not part of it."""
    with elf.open("rb") as file:
        segments = [
            (segment["p_paddr"], segment.data())
            for segment in ELFFile(file).iter_segments("PT_LOAD")
            if segment["p_filesz"]
        ]
    start = min(address for address, _ in segments)
    image = bytearray(max(address + len(data) for address, data in segments) - start)
    for address, data in segments:
        image[address - start : address - start + len(data)] = data
    return bytes(image)
