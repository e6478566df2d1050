"""Emitters: an ABI as source text in several languages.

Each language is a module with the name of the language and a function ``texts(abi)``, which gives
the text of every file by its path.
"""

import importlib
from pathlib import Path

from xenport.abi import Abi
from xenport.emit.tree import write_tree

LANGUAGES = ("c", "asm", "rust", "python")


def write(abi: Abi, language: str, out: Path) -> None:
    """Write ``abi`` in one of ``LANGUAGES`` to the folder ``out``, wholly or not at all.

    ``out`` may be missing, empty, or a tree that was generated before, which is replaced. Raises
    ``InputError`` for anything else there, and for a mistake in the description.
    """
    abi.check()
    emitter = importlib.import_module(f"xenport.emit.{language}")
    write_tree(emitter.texts(abi), out)
