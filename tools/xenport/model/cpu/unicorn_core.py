"""Unicorn without its Python wrapper's cost: raw ctypes hooks and preallocated register buffers.

The wrapper turns every register access and every hook into several Python calls; the model handles
each hypercall inside a hook, so it talks to the library directly. The wrapper is still used to open
an instance, and for what happens once (system registers, contexts).
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import unicorn
from unicorn.unicorn_py3.unicorn import uclib

from xenport.model.errors import ModelError

if TYPE_CHECKING:
    from xenport.model.memory import Buffer, Memory

#: The adapters rely on details of this version (field positions found by calibration, workarounds).
UNICORN_VERSION = (2, 1, 4)

#: Where struct uc_struct has the pointer to the CPU, and how far behind that its registers may be.
_CPU_POINTER = 440
_CPU_SIZE = 0x20000

_INTERRUPT = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_void_p)
_CODE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint32, ctypes.c_void_p)
_INVALID = ctypes.CFUNCTYPE(ctypes.c_bool, ctypes.c_void_p, ctypes.c_void_p)
_MEMORY = ctypes.CFUNCTYPE(
    ctypes.c_bool,
    ctypes.c_void_p,
    ctypes.c_int,
    ctypes.c_uint64,
    ctypes.c_int,
    ctypes.c_int64,
    ctypes.c_void_p,
)


#: A register's type in C, whose ``value`` is an integer.
Word = ctypes.c_uint64 | ctypes.c_uint32


class Registers:
    """A fixed set of registers, read and written in one library call each.

    ``values`` is a ctypes array in the order of ``ids``: `read` fills it, `write` sends it. `fetch`
    and `send` do the same for hooks, where every call of Python's counts.
    """

    def __init__(self, core: UnicornCore, ids: Sequence[int]) -> None:
        count = len(ids)
        self.values = (core.WORD * count)()
        start = ctypes.addressof(self.values)
        size = ctypes.sizeof(core.WORD)
        pointers = (ctypes.c_void_p * count)(*(start + size * i for i in range(count)))
        arguments = (core.handle, (ctypes.c_int * count)(*ids), pointers, count)
        self.fetch = functools.partial(uclib["uc_reg_read_batch"], *arguments)
        self.send = functools.partial(uclib["uc_reg_write_batch"], *arguments)

    def read(self) -> ctypes.Array[Any]:
        """Read all of them; the returned array is reused by the next call."""
        self.fetch()
        return self.values

    def write(self) -> None:
        """Write all of them from ``values``."""
        self.send()


class Register:
    """One register with the cheapest access there is."""

    def __init__(self, core: UnicornCore, identifier: int) -> None:
        self._value = core.WORD()
        self._arguments = (core.handle, identifier, ctypes.byref(self._value))
        self._read = uclib["uc_reg_read"]
        self._write = uclib["uc_reg_write"]

    def get(self) -> int:
        """Its value, unsigned."""
        self._read(*self._arguments)
        return self._value.value

    def set(self, value: int) -> None:
        """Write ``value``; negative values and excess bits wrap to the register's width."""
        self._value.value = value
        self._write(*self._arguments)


class Context:
    """A copy of the CPU's state as the library keeps it, to reach fields that have no register id.

    `load` copies state out, `store` back. Positions are found by calibration: change something
    through the API and look where it moved (`offsets_of`).
    """

    def __init__(self, core: UnicornCore) -> None:
        self._uc = core.uc
        self._context = core.uc.context_save()
        self.size: int = self._context.size
        self._address = ctypes.cast(self._context.context, ctypes.c_void_p).value or 0

    def load(self) -> None:
        """Copy the CPU's state into this context."""
        self._uc.context_update(self._context)

    def store(self) -> None:
        """Make this context the CPU's state."""
        self._uc.context_restore(self._context)

    def snapshot(self) -> bytes:
        """The bytes as last loaded."""
        return ctypes.string_at(self._address, self.size)

    def u64(self, offset: int) -> ctypes.c_uint64:
        """The 64-bit field at ``offset``; its ``value`` reads and writes the context."""
        return ctypes.c_uint64.from_address(self._address + offset)

    def u32(self, offset: int) -> ctypes.c_uint32:
        """The 32-bit field at ``offset``."""
        return ctypes.c_uint32.from_address(self._address + offset)

    def i32(self, offset: int) -> ctypes.c_int32:
        """The signed 32-bit field at ``offset``."""
        return ctypes.c_int32.from_address(self._address + offset)

    def offsets_of(self, value: int, size: int, step: int = 4) -> list[int]:
        """Where the loaded bytes hold ``value`` (little endian, ``size`` bytes, every ``step``)."""
        data = self.snapshot()
        wanted = value.to_bytes(size, "little")
        found = []
        offset = data.find(wanted)
        while offset >= 0:
            if offset % step == 0:
                found.append(offset)
            offset = data.find(wanted, offset + 1)
        return found


_offsets: dict[tuple[int, ...], int] = {}  # from the CPU to an array of registers


class UnicornCore:
    """One Unicorn instance: memory, registers, hooks, and a `run` that never loses an exception.

    A hook that raises stops the emulation; `run` raises the exception again.
    """

    #: A general register.
    WORD: type[Word] = ctypes.c_uint64

    def __init__(self, arch: int, mode: int, model: int | None = None) -> None:
        if tuple(unicorn.uc_version()[:2]) != UNICORN_VERSION[:2] or not (
            unicorn.__version__.startswith("2.1.4")
        ):
            raise ModelError(f"the model needs Unicorn 2.1.4, this is {unicorn.__version__}")
        self.uc = unicorn.Uc(arch, mode, model)
        # Without this, every run ends by looking at the address where it should have ended, which
        # may leave a page fault of its own in the CPU's state.
        self.uc.ctl(unicorn.UC_CTL_UC_USE_EXITS, unicorn.UC_CTL_IO_WRITE, ctypes.c_int(1))
        self.handle: ctypes.c_void_p = self.uc._uch
        self.running = False
        self.stopped = False  #: the last run ended by `stop`
        self._failure: BaseException | None = None
        self._callbacks: list[object] = []  # ctypes callbacks must outlive the instance
        self._buffers: dict[int, object] = {}  # so must mapped buffers
        self._start = uclib["uc_emu_start"]
        self._stop = uclib["uc_emu_stop"]

    # ---- Registers ----

    def registers(self, ids: Sequence[int]) -> Registers:
        """A set of registers that are accessed together."""
        return Registers(self, ids)

    def register(self, identifier: int) -> Register:
        """One register."""
        return Register(self, identifier)

    def state(self, ids: Sequence[int]) -> ctypes.Array[Any]:
        """The CPU's own copy of registers that lie together, in the order of ``ids``.

        To read and write the array is to read and write the registers: at any time for general
        registers, and in hooks of instructions and exceptions for the PC (writing that has no
        effect there). It costs a tenth of a call of the library. Where the registers are is found
        by writing a pattern to them. Raises ModelError if they are not there.
        """
        count = len(ids)
        kind = self.WORD * count
        registers = [self.register(identifier) for identifier in ids]
        before = [register.get() for register in registers]
        pattern = kind(*(0x5A00_0000_1000 + 0x11_0000 * index for index in range(count)))
        for register, value in zip(registers, pattern, strict=True):
            register.set(value)
        try:
            cpu = self._cpu()
            key = tuple(ids)
            if key not in _offsets:
                _offsets[key] = _readable(cpu, _CPU_SIZE).find(bytes(pattern))
            offset = _offsets[key]
            found = kind.from_address(cpu + offset) if offset >= 0 else pattern
            # A copy of the pattern elsewhere, ours for one, does not follow the register.
            registers[0].set(0)
            if found[0] != 0 or found[1:] != pattern[1:]:
                raise ModelError("this build of Unicorn keeps its registers elsewhere")
        finally:
            for register, value in zip(registers, before, strict=True):
                register.set(value)
        return found

    def _cpu(self) -> int:
        """The address of the library's CPU object."""
        instance = ctypes.cast(self.handle, ctypes.c_void_p).value
        assert instance is not None
        return ctypes.c_uint64.from_address(instance + _CPU_POINTER).value

    # ---- Memory ----

    def map_memory(self, memory: Memory) -> None:
        """Map a domain's whole memory and follow its changes."""
        memory.attach(self)

    def map(self, address: int, size: int, host_address: int, owner: Buffer) -> None:
        """Map ``size`` bytes of host memory at physical ``address``; ``owner`` is kept alive."""
        protection = unicorn.UC_PROT_ALL & ~(unicorn.UC_PROT_WRITE if owner.read_only else 0)
        self.uc.mem_map_ptr(address, size, protection, host_address)
        self._buffers[address] = owner

    def unmap(self, address: int, size: int) -> None:
        """Unmap a range; parts of larger mappings are allowed."""
        self.uc.mem_unmap(address, size)

    def flush_tlb(self) -> None:
        """Forget all cached translations of virtual addresses."""
        self.uc.ctl(unicorn.UC_CTL_TLB_FLUSH, unicorn.UC_CTL_IO_WRITE)

    # ---- Hooks ----

    def hook_interrupt(self, function: Callable[[int], None]) -> None:
        """``function(number)`` on every exception and software interrupt."""

        def hook(_uc: int, number: int, _data: int) -> None:
            try:
                function(number)
            except BaseException as error:
                self.fail(error)

        self._hook(unicorn.UC_HOOK_INTR, _INTERRUPT(hook))

    def hook_instruction(self, instruction: int, function: Callable[[], None]) -> None:
        """``function()`` on the instruction (UC_X86_INS_SYSCALL …) instead of what it does."""

        def hook(_uc: int, _data: int) -> None:
            try:
                function()
            except BaseException as error:
                self.fail(error)

        prototype = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)
        self._hook(unicorn.UC_HOOK_INSN, prototype(hook), extra=instruction)

    def hook_instruction_raw(self, instruction: int, callback: object) -> None:
        """Like `hook_instruction` with a ready ctypes callback of whatever shape the instruction
        has (in, out, cpuid, mrs, msr)."""
        self._hook(unicorn.UC_HOOK_INSN, callback, extra=instruction)

    def hook_invalid(self, function: Callable[[], bool]) -> None:
        """``function()`` on an undefined instruction; True: dealt with, go on at the new PC."""

        def hook(_uc: int, _data: int) -> bool:
            try:
                return function()
            except BaseException as error:
                self.fail(error)
                return False

        self._hook(unicorn.UC_HOOK_INSN_INVALID, _INVALID(hook))

    def hook_code(self, begin: int, end: int, function: Callable[[int], None]) -> None:
        """``function(address)`` before each instruction that starts in begin..end (inclusive)."""

        def hook(_uc: int, address: int, _size: int, _data: int) -> None:
            try:
                function(address)
            except BaseException as error:
                self.fail(error)

        self._hook(unicorn.UC_HOOK_CODE, _CODE(hook), begin, end)

    def hook_memory_fault(self, function: Callable[[int, int, int, int], bool]) -> None:
        """``function(type, address, size, value)`` on accesses to unmapped or forbidden memory;
        True: the reason has been removed, try again."""

        def hook(_uc: int, kind: int, address: int, size: int, value: int, _data: int) -> bool:
            try:
                return function(kind, address, size, value)
            except BaseException as error:
                self.fail(error)
                return False

        kinds = unicorn.UC_HOOK_MEM_UNMAPPED | unicorn.UC_HOOK_MEM_PROT
        self._hook(kinds, _MEMORY(hook))

    def _hook(
        self, kind: int, callback: Any, begin: int = 1, end: int = 0, extra: int | None = None
    ) -> None:
        handle = ctypes.c_size_t()
        arguments: list[object] = [
            self.handle,
            ctypes.byref(handle),
            ctypes.c_int(kind),
            callback,
            ctypes.c_void_p(None),
            ctypes.c_uint64(begin),
            ctypes.c_uint64(end),
        ]
        if extra is not None:
            arguments.append(ctypes.c_int(extra))
        status = uclib["uc_hook_add"](*arguments)
        if status != unicorn.UC_ERR_OK:
            raise ModelError(f"uc_hook_add: {unicorn.UcError(status)}")
        self._callbacks.append(callback)

    def fail(self, error: BaseException) -> None:
        """A hook has raised: stop, and raise it again from `run`."""
        if self._failure is None:
            self._failure = error
        self.stop()

    # ---- Running ----

    def run(self, pc: int) -> int:
        """Run from ``pc`` until `stop` or an error; the library's status (UC_ERR_OK, …)."""
        self.running = True
        self.stopped = False
        status: int = self._start(
            self.handle,
            ctypes.c_uint64(pc),
            ctypes.c_uint64(0),  # ends nowhere: see __init__
            ctypes.c_uint64(0),
            ctypes.c_size_t(0),
        )
        self.running = False
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        return status

    def stop(self) -> None:
        """Make `run` return after the current instruction; without effect when it does not run."""
        if self.running:
            self.stopped = True
            self._stop(self.handle)


def _readable(address: int, size: int) -> bytes:
    """The bytes at an address of this process, as far as there is memory; none if there is not.

    What the library got in one piece may be several of the kernel's mappings side by side.
    """
    end = address
    for line in Path("/proc/self/maps").read_text().splitlines():
        span, permissions = line.split()[:2]
        first, last = (int(part, 16) for part in span.split("-"))
        if first <= end < last and permissions.startswith("r"):
            end = last
    return ctypes.string_at(address, min(size, end - address))
