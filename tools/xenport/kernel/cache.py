"""Files and folders named after what they were made from, so that they never have to be made twice.

If two processes want the same thing at the same time, the second waits for the first. Things are
published whole: what a process that was killed left is not taken.
"""

import contextlib
import fcntl
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
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
            if not path.is_file():
                made = folder / path.name
                make(made)
                made.replace(path)
    return path


def publish_folder(path: Path, make: Callable[[Path], object]) -> Path:
    """The folder ``path``, made by ``make(temporary folder)`` if it is not there."""
    if not path.is_dir():
        with _workspace(path) as folder:
            if not path.is_dir():
                made = folder / path.name
                make(made)
                made.rename(path)
    return path


@contextlib.contextmanager
def _workspace(path: Path) -> Iterator[Path]:
    """A temporary folder on the same file system, while nobody else makes ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        _locked(path.with_name(f".{path.name}.lock")),
        tempfile.TemporaryDirectory(prefix=f".{os.getpid()}-", dir=path.parent) as folder,
    ):
        yield Path(folder)


@contextlib.contextmanager
def _locked(lock: Path) -> Iterator[None]:
    """While nobody else has ``lock``, a file that goes afterwards."""
    while True:
        with lock.open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            if not _is_at(held.fileno(), lock):
                continue  # gone with whoever had it: others may have one of that name by now
            try:
                yield
            finally:
                lock.unlink()
            return


def _is_at(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False
