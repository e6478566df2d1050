"""What hypercalls mean, without a processor: two domains whose memory is flat."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import xenport.abi
from xenport import architecture
from xenport.model.call import Call
from xenport.model.clock import VirtualClock
from xenport.model.console_ring import ConsoleRing
from xenport.model.cpu.base import Cpu
from xenport.model.domain import Domain
from xenport.model.errors import XenError
from xenport.model.handlers import Handlers
from xenport.model.hypervisor import Hypervisor
from xenport.model.memory import PAGE_SIZE, Memory
from xenport.model.policy import Silo
from xenport.model.vcpu import Vcpu

RAM = 64 * PAGE_SIZE
ARGUMENT = 0x1000
LISTS = 0x2000
NOWHERE = RAM + 0x1000
ABI = xenport.abi.load("arm64", "4.17")


class FlatCpu(Cpu):
    """Handles are addresses in memory; nothing runs."""

    handlers = Handlers()
    capabilities = "flat"
    features = ("XENFEAT_auto_translated_physmap", "XENFEAT_not_direct_mapped")
    masked = False

    @classmethod
    def build_domain(cls, domain: Domain, image: bytes, command_line: str) -> None:  # noqa: ARG003
        domain.memory = Memory(0, RAM)
        domain.total_pages = domain.max_pages = RAM // PAGE_SIZE
        for _ in range(domain.max_vcpus):
            domain.add_vcpu()
        domain.vcpus[0].up()

    def run(self) -> None:
        raise AssertionError

    def stop(self) -> None: ...

    def event_deliverable(self) -> bool:
        return self.vcpu.upcall_pending and not self.masked

    def deliver_event(self) -> None: ...

    def enable_events(self) -> None:
        self.masked = False

    def translate(self, handle: int, offset: int, write: bool) -> int | None:  # noqa: ARG002
        return handle + offset if handle + offset < RAM else None

    def set_context(self, context: Any) -> None: ...


class World:
    """Domain 0, which is in control, and domain 1."""

    def __init__(self) -> None:
        self.output = b""
        self.overrides: dict[str, Callable[[Call], int | None]] = {}
        self.make()

    def make(self) -> None:
        self.hypervisor = Hypervisor(
            ABI, architecture.load("arm64"), console=self._print, overrides=self.overrides
        )
        self.control = self._domain(0, is_control=True)
        self.guest = self._domain(1, is_control=False)

    def _print(self, data: bytes) -> None:
        self.output += data

    def _domain(self, number: int, *, is_control: bool) -> Domain:
        domain = self.hypervisor.add_domain(
            number, "arm", FlatCpu, is_control=is_control, max_vcpus=2, max_port=1023
        )
        FlatCpu.build_domain(domain, b"", "")
        return domain

    def call(self, domain: Domain, hypercall: str, *args: int, vcpu: int = 0) -> int:
        number = ABI.hypercalls[hypercall].number
        padded = [argument & (1 << 64) - 1 for argument in (*args, 0, 0, 0, 0, 0)]
        return self.hypervisor.hypercall(domain.vcpus[vcpu], number, padded)

    def command(self, domain: Domain, name: str, **fields: int) -> Any:
        """Carry out a command whose structure is at ARGUMENT: the result, a view of the answer."""
        hypercall = next(h for h in ABI.hypercalls.values() if name in h.commands)
        command = hypercall.commands[name]
        argument = 0
        found = None
        if command.arg is not None:
            argument = ARGUMENT
            data = domain.memory.locate(ARGUMENT)[0]
            found = ABI.view(command.arg.type, data, domain.memory.locate(ARGUMENT)[1])
            for field, value in fields.items():
                setattr(found, field, value)
        return self.call(domain, hypercall.name, command.number, argument), found


@pytest.fixture
def world() -> World:
    return World()


def errno(name: str) -> int:
    return -ABI.errno(name)


# ---- Dispatch ----


def test_unknown_numbers_and_commands_are_enosys(world: World) -> None:
    assert world.hypervisor.hypercall(world.control.vcpus[0], 60, [0] * 6) == errno("ENOSYS")
    assert world.call(world.control, "sched_op", 99) == errno("ENOSYS")
    assert world.call(world.control, "event_channel_op", 1 << 32 | 99) == errno("ENOSYS")


def test_hypercalls_of_other_guests_are_enosys(world: World) -> None:
    number = xenport.abi.load("x86_64", "4.17").hypercalls["set_timer_op"].number
    assert world.hypervisor.hypercall(world.control.vcpus[0], number, [0] * 6) == errno("ENOSYS")


def test_commands_are_as_wide_as_their_type(world: World) -> None:
    version = world.call(world.control, "xen_version", 1 << 32)
    assert version == 4 << 16 | 17


def test_structures_that_cannot_be_read_are_efault(world: World) -> None:
    send = ABI.constant("EVTCHNOP_send")
    assert world.call(world.control, "event_channel_op", send, NOWHERE) == errno("EFAULT")
    assert world.call(world.control, "event_channel_op", send, RAM - 2) == errno("EFAULT")


def test_answers_that_cannot_be_written_are_efault_after_all_is_done(world: World) -> None:
    command = ABI.constant("XENVER_compile_info")
    assert world.call(world.control, "xen_version", command, RAM - 8) == errno("EFAULT")


def test_an_errno_that_is_not_declared_is_reported(world: World) -> None:
    def fail(_call: Call) -> int:
        raise XenError("ENOSPC")

    world.overrides["EVTCHNOP_send"] = fail
    world.make()
    assert world.command(world.control, "EVTCHNOP_send")[0] == errno("ENOSPC")
    assert len(world.hypervisor.diagnostics) == 1
    assert "ENOSPC" in world.hypervisor.diagnostics[0]


def test_control_is_for_the_control_domain(world: World) -> None:
    version = ABI.constant("XEN_DOMCTL_INTERFACE_VERSION")
    data, start = world.guest.memory.locate(ARGUMENT)
    argument = ABI.view("xen_domctl", data, start)
    argument.cmd = ABI.constant("XEN_DOMCTL_getdomaininfo")
    argument.interface_version = version
    argument.domain = 1
    assert world.call(world.guest, "domctl", ARGUMENT) == errno("EPERM")
    argument.interface_version = version + 1
    assert world.call(world.guest, "domctl", ARGUMENT) == errno("EACCES")


# ---- Event channels between domains ----


def connect(world: World) -> tuple[int, int]:
    """Ports of a connection: the control domain's, the guest's."""
    rc, unbound = world.command(world.guest, "EVTCHNOP_alloc_unbound", dom=0x7FF0, remote_dom=0)
    assert rc == 0
    rc, bound = world.command(
        world.control, "EVTCHNOP_bind_interdomain", remote_dom=1, remote_port=unbound.port
    )
    assert rc == 0
    return bound.local_port, unbound.port


def test_an_event_crosses_domains(world: World) -> None:
    here, there = connect(world)
    assert world.command(world.control, "EVTCHNOP_send", port=here)[0] == 0
    assert world.guest.vcpus[0].upcall_pending
    assert world.guest.shared_view().evtchn_pending[0] == 1 << there


def test_closing_one_end_leaves_the_other_unbound(world: World) -> None:
    here, there = connect(world)
    assert world.command(world.control, "EVTCHNOP_close", port=here)[0] == 0
    rc, status = world.command(world.guest, "EVTCHNOP_status", dom=0x7FF0, port=there)
    assert (rc, status.status) == (0, ABI.constant("EVTCHNSTAT_unbound"))
    assert status.u.unbound.dom == 0


def test_a_guest_may_not_look_at_others(world: World) -> None:
    assert world.command(world.guest, "EVTCHNOP_status", dom=0, port=0)[0] == errno("EPERM")
    assert world.command(world.guest, "EVTCHNOP_reset", dom=0)[0] == errno("EPERM")
    assert world.command(world.control, "EVTCHNOP_reset", dom=1)[0] == errno("EINVAL")
    world.guest.pause_count = 1
    connect(world)
    assert world.command(world.control, "EVTCHNOP_reset", dom=1)[0] == 0
    assert not any(port.is_usable for port in world.guest.events.ports)


def test_silo_keeps_guests_apart(world: World) -> None:
    world.hypervisor.policy = Silo()
    unbound = "EVTCHNOP_alloc_unbound"
    assert world.command(world.guest, unbound, dom=0x7FF0, remote_dom=7)[0] == errno("ESRCH")
    world._domain(2, is_control=False)
    assert world.command(world.guest, unbound, dom=0x7FF0, remote_dom=2)[0] == errno("EPERM")
    assert world.command(world.guest, unbound, dom=0x7FF0, remote_dom=0x7FF0)[0] == 0
    assert world.command(world.guest, unbound, dom=0x7FF0, remote_dom=0)[0] == 0


def test_ports_run_out(world: World) -> None:
    for _ in range(1023):
        assert world.command(world.guest, "EVTCHNOP_bind_ipi", vcpu=0)[0] == 0
    assert world.command(world.guest, "EVTCHNOP_bind_ipi", vcpu=0)[0] == errno("ENOSPC")


# ---- FIFO events ----


def test_fifo_events_are_queued_in_order(world: World) -> None:
    domain = world.guest
    ports = [world.command(domain, "EVTCHNOP_bind_ipi", vcpu=0)[1].port for _ in range(3)]
    control, words = 8, 9
    rc, answer = world.command(
        domain, "EVTCHNOP_init_control", control_gfn=control, offset=0, vcpu=0
    )
    assert (rc, answer.link_bits) == (0, 17)
    assert world.command(domain, "EVTCHNOP_expand_array", array_gfn=words)[0] == 0
    for port in ports:
        assert world.command(domain, "EVTCHNOP_send", port=port)[0] == 0
    block = ABI.view("evtchn_fifo_control_block", *domain.memory.locate(control * PAGE_SIZE))
    assert block.ready == 1 << 7
    assert block.head[7] == ports[0]
    first = int.from_bytes(domain.memory.read(words * PAGE_SIZE + 4 * ports[0], 4), "little")
    assert first & 0x1FFFF == ports[1]
    assert first >> 31
    assert world.command(domain, "EVTCHNOP_reset", dom=0x7FF0)[0] == 0
    assert world.command(domain, "EVTCHNOP_expand_array", array_gfn=words)[0] == errno("EOPNOTSUPP")


# ---- Life ----


def test_the_first_shutdown_code_stays(world: World) -> None:
    assert world.command(world.guest, "SCHEDOP_shutdown_code", reason=3)[0] == 0
    assert world.command(world.guest, "SCHEDOP_shutdown_code", reason=1)[0] == 0
    assert world.command(world.guest, "SCHEDOP_shutdown", reason=0)[0] == 0
    assert world.guest.shutdown_code == 3
    assert world.guest.is_shut_down


def test_a_watchdog_ends_its_domain(world: World) -> None:
    rc, _ = world.command(world.guest, "SCHEDOP_watchdog", id=0, timeout=5)
    assert rc == 1
    assert world.hypervisor.clock.jump()
    assert world.guest.shutdown_code == ABI.constant("SHUTDOWN_watchdog")
    assert world.hypervisor.clock.now == 5_000_000_000


def test_the_control_domain_ends_others(world: World) -> None:
    remote = "SCHEDOP_remote_shutdown"
    assert world.command(world.guest, remote, domain_id=0, reason=0)[0] == errno("EPERM")
    assert world.command(world.control, remote, domain_id=1, reason=1)[0] == 0
    assert world.guest.shutdown_code == 1


def test_a_poll_ends_with_its_event_or_its_time(world: World) -> None:
    vcpu = world.guest.vcpus[0]
    _, bound = world.command(world.guest, "EVTCHNOP_bind_ipi", vcpu=0)
    port = bound.port
    world.guest.memory.write(LISTS, port.to_bytes(4, "little"))
    FlatCpu.masked = True
    try:
        poll = {"ports": LISTS, "nr_ports": 1, "timeout": 0}
        assert world.command(world.guest, "SCHEDOP_poll", **poll)[0] == 0
        assert vcpu.is_blocked
        assert world.command(world.guest, "EVTCHNOP_send", port=port)[0] == 0
        assert not vcpu.is_blocked
        world.guest.events.delivery.clear_pending(world.guest.events.existing(port))
        poll["timeout"] = world.hypervisor.clock.now + 1000
        assert world.command(world.guest, "SCHEDOP_poll", **poll)[0] == 0
        assert vcpu.is_blocked
        assert world.hypervisor.clock.jump()
        assert not vcpu.is_blocked
    finally:
        FlatCpu.masked = False


# ---- Console ----


def test_a_guest_prints_by_line(world: World) -> None:
    write = ABI.constant("CONSOLEIO_write")
    for domain in (world.control, world.guest):
        domain.memory.write(LISTS, b"a\x07b")
    assert world.call(world.guest, "console_io", write, 3, LISTS) == errno("EPERM")
    world.guest.is_console = True
    assert world.call(world.guest, "console_io", write, 3, LISTS) == 0
    assert world.output == b""
    world.guest.memory.write(LISTS, b"\n")
    assert world.call(world.guest, "console_io", write, 1, LISTS) == 0
    assert world.output == b"ab\n"
    assert world.call(world.control, "console_io", write, 3, LISTS) == 0
    assert world.output == b"ab\na\x07b"


RING = 0x3000
RING_SIZE = 2048


def ring_index(domain: Domain, name: str, value: int | None = None) -> int:
    """An index of the console ring; sets it first, if there is a value."""
    at = RING + ABI.offset("xencons_interface", name)
    if value is not None:
        domain.memory.write(at, value.to_bytes(4, "little"))
    return int.from_bytes(domain.memory.read(at, 4), "little")


@pytest.mark.parametrize("start", [0, RING_SIZE - 2, (1 << 32) - 2])
def test_a_console_ring_is_passed_on(world: World, start: int) -> None:
    ring = ConsoleRing(world.guest, RING)
    ring_index(world.guest, "out_cons", start)
    ring_index(world.guest, "out_prod", start)
    ring.drain()
    assert world.output == b""
    for number, byte in enumerate(b"hello\n"):
        at = RING + ABI.offset("xencons_interface", "out") + (start + number) % RING_SIZE
        world.guest.memory.write(at, bytes([byte]))
    ring_index(world.guest, "out_prod", start + 6 & 0xFFFF_FFFF)
    ring.drain()
    assert world.output == b"hello\n"
    assert ring_index(world.guest, "out_cons") == start + 6 & 0xFFFF_FFFF
    ring.drain()
    assert world.output == b"hello\n"


def test_a_console_ring_that_cannot_be(world: World) -> None:
    """Indices further apart than the ring is long; a page that was given away."""
    ring = world.guest.console_ring = ConsoleRing(world.guest, RING)
    ring_index(world.guest, "out_prod", RING_SIZE + 1)
    ring.drain()
    assert world.output == b""
    assert ring_index(world.guest, "out_cons") == RING_SIZE + 1
    world.guest.memory.replace(RING // PAGE_SIZE, None)
    ring.drain()
    assert world.guest.console_ring is None


# ---- Memory ----


def reservation(domain: Domain, frame: int) -> dict[str, int]:
    domain.memory.write(LISTS, frame.to_bytes(8, "little"))
    return {"extent_start": LISTS, "nr_extents": 1, "extent_order": 0, "domid": 0x7FF0}


def test_a_page_goes_and_comes_back(world: World) -> None:
    domain = world.guest
    total = domain.total_pages
    fields = reservation(domain, 20)
    assert world.command(domain, "XENMEM_decrease_reservation", **fields)[0] == 1
    assert domain.total_pages == total - 1
    assert not domain.memory.has_frame(20)
    assert world.command(domain, "XENMEM_decrease_reservation", **fields)[0] == 0
    assert world.command(domain, "XENMEM_populate_physmap", **fields)[0] == 1
    assert domain.total_pages == total
    assert world.command(domain, "XENMEM_populate_physmap", **fields)[0] == 0


def test_shared_info_is_mapped_over_a_page(world: World) -> None:
    domain = world.guest
    fields = {"domid": 0x7FF0, "space": 0, "idx": 0, "gpfn": 30}
    assert world.command(domain, "XENMEM_add_to_physmap", **fields)[0] == 0
    domain.shared_info.data[5] = 99
    assert domain.memory.read(30 * PAGE_SIZE + 5, 1) == b"\x63"
    fields["domid"] = 0
    assert world.command(domain, "XENMEM_add_to_physmap", **fields)[0] == errno("EPERM")


# ---- Time ----


def test_timers_fire_in_order_and_on_time() -> None:
    clock = VirtualClock()
    fired: list[tuple[str, int]] = []
    late = clock.timer(lambda: fired.append(("late", clock.now)))
    early = clock.timer(lambda: fired.append(("early", clock.now)))
    stopped = clock.timer(lambda: fired.append(("stopped", clock.now)))
    late.set(3000)
    early.set(2000)
    stopped.set(1000)
    stopped.cancel()
    early.set(2500)
    while len(fired) < 2:
        clock.read()
    assert [name for name, _ in fired] == ["early", "late"]
    assert all(0 <= now - at < 200 for (_, now), at in zip(fired, (2500, 3000), strict=True))
    assert not clock.jump()


def test_waiting_gets_cheaper() -> None:
    clock = VirtualClock()
    reads = 0
    while clock.read() < 1_000_000_000:
        reads += 1
    assert reads < 50_000


def test_a_vcpu_knows_what_it_did(world: World) -> None:
    vcpu: Vcpu = world.guest.vcpus[0]
    for state in (0, 2, 0):
        vcpu.set_runstate(state)
        world.call(world.guest, "xen_version", 0)
    assert vcpu.runstate.total(2) == 400
    assert vcpu.runstate.total(0) == 800
