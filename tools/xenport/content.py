"""Where xenport's content (ABI, architectures, tests, traces) and its cache are."""

import os
from pathlib import Path
from typing import Literal

Folder = Literal["abi", "arch", "conformance", "traces"]


def _root() -> Path:
    """What holds the content folders: the package when installed, else the checkout."""
    package = Path(__file__).resolve().parent
    installed = package / "content"
    return installed if installed.is_dir() else package.parent.parent


def folder(name: Folder) -> Path:
    """The content folder ``name``, in a checkout and when installed from a wheel alike."""
    return _root() / name


def cache_folder() -> Path:
    """xenport's cache below ``$XDG_CACHE_HOME`` (default ``~/.cache``), made if it is not there."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    path = Path(base) / "xenport"
    path.mkdir(parents=True, exist_ok=True)
    return path
