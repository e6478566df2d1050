"""The registry that ties names of commands and hypercalls to the functions that carry them out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from xenport.model.call import Call

Handler = Callable[["Call"], int | None]
_H = TypeVar("_H", bound=Handler)


class Handlers(Mapping[str, Handler]):
    """Handlers by the name of the command (``EVTCHNOP_send``) or, for a hypercall without
    commands, of the hypercall (``set_timer_op``).

    A handler gets a `Call`, returns the hypercall's result (``None`` means 0) or raises `XenError`.
    ``checks`` holds, by hypercall, what is checked before the command is even looked at,
    ``command_masks`` which bits of the argument are the command, where that is not all of it, and
    ``declared`` the hypercalls and commands whose handlers need not look for what abi/ has
    conditions for.
    """

    def __init__(self, *parts: Handlers) -> None:
        self._handlers: dict[str, Handler] = {}
        self.checks: dict[str, Handler] = {}
        self.command_masks: dict[str, int] = {}
        self.declared: set[str] = set()
        for part in parts:
            for name, handler in part.items():
                self.command(name)(handler)
            self.checks.update(part.checks)
            self.command_masks.update(part.command_masks)
            self.declared |= part.declared

    def command(self, *names: str) -> Callable[[_H], _H]:
        """Decorator: the function carries out the commands (or hypercalls) ``names``."""

        def register(handler: _H) -> _H:
            for name in names:
                if name in self._handlers:
                    raise ValueError(f"{name} has two handlers")
                self._handlers[name] = handler
            return handler

        return register

    def check(self, hypercall: str) -> Callable[[_H], _H]:
        """Decorator: the function is called before every command of ``hypercall``."""

        def register(handler: _H) -> _H:
            self.checks[hypercall] = handler
            return handler

        return register

    def refuse_declared(self, *names: str) -> None:
        """The errors that abi/ declares with conditions (`xenport.model.declared`) are returned
        before a handler of these hypercalls or commands is called; it has to look for the others
        only."""
        self.declared.update(names)

    def __getitem__(self, name: str) -> Handler:
        return self._handlers[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._handlers)

    def __len__(self) -> int:
        return len(self._handlers)
