"""Files and folders named after what they were made from, so that they never have to be made twice.

Two processes may make the same thing at the same time: each makes its own, and publishes it whole.
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path


class Fingerprint:
    """A hash over texts and files. Paths count as they are named here, not as they are on disk."""

    def __init__(self, *texts: str) -> None:
        self._hash = hashlib.sha256()
        self.texts(*texts)

    def texts(self, *texts: str) -> None:
        """Add texts; where one ends and the next begins counts."""
        for text in texts:
            self._bytes(text.encode())

    def files(self, folder: Path, paths: Iterable[Path]) -> None:
        """Add files below ``folder``: their paths relative to it, and what is in them."""
        for path in sorted(paths):
            self._bytes(path.relative_to(folder).as_posix().encode())
            self._bytes(path.read_bytes())

    def _bytes(self, data: bytes) -> None:
        self._hash.update(len(data).to_bytes(8, "little") + data)

    def copy(self) -> "Fingerprint":
        """One that starts from here."""
        other = Fingerprint()
        other._hash = self._hash.copy()
        return other

    def digest(self) -> str:
        """Short enough for a name, long enough to be unique."""
        return self._hash.hexdigest()[:24]


def publish_file(path: Path, make: Callable[[Path], object]) -> Path:
    """``path``, made by ``make(temporary path)`` if it is not there."""
    if not path.is_file():
        with _workspace(path) as folder:
            made = Path(folder) / path.name
            make(made)
            made.replace(path)
    return path


def publish_folder(path: Path, make: Callable[[Path], object]) -> Path:
    """The folder ``path``, made by ``make(temporary folder)`` if it is not there."""
    if not path.is_dir():
        with _workspace(path) as folder:
            made = Path(folder) / path.name
            make(made)
            try:
                made.rename(path)
            except OSError:
                if not path.is_dir():
                    raise
                shutil.rmtree(made)  # somebody else was faster
    return path


def _workspace(path: Path) -> tempfile.TemporaryDirectory[str]:
    """A temporary folder on the same file system."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryDirectory(prefix=f".{os.getpid()}-", dir=path.parent)
