"""The mailbox: what a shim and the model say to each other, once for both sides.

The mailbox is a structure of 64-bit fields in the byte order of the machine, at the address of the
shim's symbol ``mailbox``. `header` makes the C header that shims are compiled with; nothing of it
depends on an architecture but the names of a vcpu's registers, which the architecture's YAML lists.

Whoever owns the mailbox may write it. The shim hands it over when it has started, when a guest has
been left, and when it has done what it was asked to; the model hands it back with a command.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

WORD = 8  #: bytes of a field
SPACES = 4  #: guests at a time that have memory of their own

#: Values of `owner`. The same in both byte orders.
OWNER_SHIM = 0
OWNER_MODEL = (1 << 64) - 1

FIELDS = (
    "owner",
    # By the model.
    "command",
    "space",  # RUN, MAP, UNMAP: which guest's memory
    "registers",  # RUN: where the vcpu's are, in the machine's memory
    "deadline",  # RUN: when to leave the guest, by the counter
    "little_endian",  # RUN: the byte order in which the guest takes interrupts
    "target",  # MAP: where in the machine's memory
    "size",  # MAP, UNMAP: bytes, whole pages
    "writable",  # MAP: whether the guest may write there
    # By the shim.
    "result",  # MAP, UNMAP
    "exit",  # RUN
    "cause",  # RUN: what the processor calls it, for a person
    "access",  # MEMORY
    "counter",  # the time
    # By both.
    "address",  # MAP, UNMAP: of the guest; MEMORY: what the guest cannot reach
)


class Command(IntEnum):
    """What the model asks for."""

    RUN = 1  #: enter a guest
    MAP = 2  #: give a guest memory
    UNMAP = 3  #: take it away


class Result(IntEnum):
    """What became of a command other than RUN."""

    DONE = 0
    NO_ROOM = 1  #: for more tables
    UNKNOWN = 2  #: no such command


class Exit(IntEnum):
    """Why the shim hands the mailbox over."""

    READY = 1  #: it has started
    CALL = 2  #: the guest's hypercall instruction; its PC is behind it
    MEMORY = 3  #: an access to where the guest has no memory; its PC is at it
    ILLEGAL = 4  #: an instruction that the processor does not have; the PC is at it
    DEADLINE = 5  #: the time of RUN is over
    UNKNOWN = 6  #: something that the shim has no name for
    FAILED = 7  #: the shim itself was interrupted; nothing can be run any more


class Access(IntEnum):
    """What the guest wanted of memory."""

    READ = 1
    WRITE = 2
    EXECUTE = 3


def header(registers: Iterable[str]) -> str:
    """``mailbox.h``, for C and the assembler; ``registers`` is what a vcpu has, in the order of
    ``struct registers``."""
    names = tuple(registers)
    places = [f".set REGISTER_{name}, {WORD * at}" for at, name in enumerate(names)]
    places.append(f".set REGISTERS_SIZE, {WORD * len(names)}")
    enums = [
        f"enum {kind} {{ {', '.join(f'{prefix}_{item.name} = {item.value}' for item in values)} }};"
        for kind, prefix, values in (
            ("command", "COMMAND", Command),
            ("result", "RESULT", Result),
            ("exit_reason", "EXIT", Exit),
            ("access", "ACCESS", Access),
        )
    ]
    return "\n".join(
        [
            "#ifndef MAILBOX_H",
            "#define MAILBOX_H",
            "#ifdef __ASSEMBLY__",
            *places,
            "#else",
            "#include <stdint.h>",
            f"#define SPACES {SPACES}",
            f"#define OWNER_SHIM {OWNER_SHIM}ul",
            f"#define OWNER_MODEL {OWNER_MODEL:#x}ul",
            *enums,
            *_structure("mailbox", "volatile uint64_t", FIELDS),
            *_structure("registers", "uint64_t", names),
            "#endif",
            "#endif",
            "",
        ]
    )


def _structure(name: str, kind: str, fields: Iterable[str]) -> list[str]:
    return [f"struct {name} {{", *(f"    {kind} {field};" for field in fields), "};"]
