"""Records what the reference model is asked: a tap on its hypervisor in the process of a boot."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xenport.abi
from xenport.abi import Abi
from xenport.errors import InputError
from xenport.model import process
from xenport.model.errors import XenError
from xenport.model.machine import End
from xenport.model.memory import PAGE_SIZE
from xenport.port import Driver, Port, hosted
from xenport.port.model import ModelDriver
from xenport.trace.reach import Reach, comes_back
from xenport.trace.record import Buffer, Metadata, Record, signed
from xenport.trace.writer import Writer

if TYPE_CHECKING:
    from xenport.model.call import Arguments
    from xenport.model.hypervisor import Carrier
    from xenport.model.vcpu import Vcpu


def driver(port: Port, untapped: ModelDriver, path: Path, boot: str) -> Driver:
    """The driver ``untapped`` of the model's ``port``, but its boot, of the name ``boot``, writes
    parts of a trace at ``path``."""
    run = hosted.boot if port.kind == "hosted" else process.boot
    return untapped.with_main(partial(process.main, partial(_boot, run, path, boot)))


def _boot(run: Callable[..., End], path: Path, boot: str, spec: dict[str, Any]) -> End:
    """In the process of a boot."""
    architecture, release = spec["architecture"], spec["release"]
    abi = xenport.abi.load_for_model(architecture, release)
    try:
        writer = Writer(path, Metadata(architecture, release, "a boot of the model"))
        try:
            return run(spec, tap=partial(tapped, abi, writer.write, boot))
        finally:
            writer.leave()
    except InputError as error:
        return End("error", str(error))


def tapped(abi: Abi, write: Callable[[Record], None], boot: str, carry_out: Carrier) -> Carrier:
    """``carry_out`` of a hypervisor, but what is carried out is written as records too."""
    reach = Reach(abi)
    bits = 8 * abi.architecture.data_model.sizes["long"]
    sequence = 0

    def carry_out_and_write(vcpu: Vcpu, number: int, args: Arguments) -> int:
        nonlocal sequence
        hypercall = reach.hypercall(number)
        arguments = tuple(args[index] for index in range(len(hypercall.args) if hypercall else 0))
        clock = vcpu.domain.hypervisor.clock
        memory = partial(_read, vcpu)
        reached = list(reach.buffers(number, arguments, memory))
        before = [memory(one.address, one.size) for one in reached]
        begun = clock.now
        result = carry_out(vcpu, number, args)
        returned = not vcpu.domain.is_halted
        write(
            Record(
                sequence,
                boot,
                begun,
                clock.now if returned else None,
                vcpu.domain.id,
                vcpu.id,
                vcpu.domain.guest,
                number,
                arguments,
                signed(result, bits) if returned and comes_back(hypercall) else None,
                False,
                tuple(
                    Buffer(one.name, one.address, old, memory(one.address, one.size))
                    for one, old in zip(reached, before, strict=True)
                ),
            )
        )
        sequence += 1
        return result

    return carry_out_and_write


def _read(vcpu: Vcpu, address: int, size: int) -> bytes | None:
    """What of the guest's memory can be read there, None if that is nothing."""
    try:
        return bytes(vcpu.copy_in(address, size))
    except XenError:
        pass
    content = b""
    while len(content) < size:
        there = PAGE_SIZE - (address + len(content)) % PAGE_SIZE
        try:
            content += vcpu.copy_in(address, min(there, size - len(content)), len(content))
        except XenError:
            break
    return content or None
