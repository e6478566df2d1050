"""What emitters share: names that differ from each other, and numbers as a person reads them."""

import re
import textwrap
from collections.abc import Iterable
from itertools import count

from xenport.abi import Abi

_BITS = re.compile(r"0x|<<|[|&~^]")


class Names:
    """Gives each thing of one scope a name of its own.

    A name that is taken or ``reserved`` gets underscores at its end, so the names depend on the
    order of asking only where they would be the same.
    """

    def __init__(self, reserved: Iterable[str] = ()) -> None:
        self._taken = set(reserved)

    def take(self, name: str) -> str:
        """``name``, or what comes nearest to it."""
        while name in self._taken:
            name += "_"
        self._taken.add(name)
        return name

    def numbered(self, name: str) -> str:
        """``name`` with the first number that makes it free."""
        return self.take(next(f"{name}{n}" for n in count() if f"{name}{n}" not in self._taken))

    def reserve(self, names: Iterable[str]) -> None:
        """Keep ``names`` free."""
        self._taken.update(names)


def number_text(abi: Abi, name: str) -> str:
    """The value of the number constant ``name``: as Xen writes it, or in hexadecimal if the
    description computes it from bits."""
    value = abi.constant(name)
    item = abi.constant_item(name)
    written = item.spec.value if item is not None else value
    in_hex = hasattr(written, "text") or (isinstance(written, str) and _BITS.search(written))
    return f"{value:#x}" if in_hex else str(value)


def lines(text: str, width: int) -> list[str]:
    """``text`` as lines of at most ``width`` characters."""
    text = " ".join(text.split())
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
