"""Files for a child process that need no name.

QEMU's options have no way to quote a blank in a file's name, and a file made for a boot would be
left behind if we were killed. An anonymous file in memory, handed over as ``/proc/self/fd/N``, has
neither problem.
"""

import os
import zlib
from pathlib import Path
from types import TracebackType
from typing import Self

from xenport.errors import InputError

_LARGEST = 256 << 20  # bytes of a file that is read whole


class Files:
    """Anonymous files for one child process; used in a ``with`` block, closed at its end."""

    def __init__(self) -> None:
        self.descriptors: list[int] = []

    def add(self, content: bytes) -> str:
        """A file with ``content``: its path, as the child sees it."""
        descriptor = os.memfd_create("xenport")
        self.descriptors.append(descriptor)
        with os.fdopen(descriptor, "wb", closefd=False) as file:
            file.write(content)
        os.lseek(descriptor, 0, os.SEEK_SET)
        return f"/proc/self/fd/{descriptor}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        while self.descriptors:
            os.close(self.descriptors.pop())


def read_unpacked(path: Path) -> bytes:
    """The content of ``path``, unpacked if it is packed by gzip. Raises `InputError`."""
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
    except OSError as error:
        raise InputError(f"cannot read: {error.strerror}", path) from None
    if data.startswith(b"\x1f\x8b"):
        unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        try:
            data = unpacker.decompress(data, _LARGEST + 1)
        except zlib.error as error:
            raise InputError(f"broken gzip file: {error}", path) from None
        if not unpacker.eof and len(data) <= _LARGEST:
            raise InputError("broken gzip file: it is cut off", path)
    if len(data) > _LARGEST:
        raise InputError(f"larger than {_LARGEST >> 20} MiB", path)
    return data
