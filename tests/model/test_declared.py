"""Errors that abi/ declares with conditions, of commands that have no handler of their own."""

from __future__ import annotations

from typing import Any

import pytest
from test_semantics import FlatCpu

import xenport.abi
from xenport import architecture
from xenport.model import declared
from xenport.model.call import Argument, Call
from xenport.model.domain import Domain
from xenport.model.errors import XenError
from xenport.model.hypervisor import Hypervisor
from xenport.model.memory import PAGE_SIZE

ABI = xenport.abi.load("arm64", "4.17")
ARGUMENT = 0x1000
NOWHERE = 64 * PAGE_SIZE
VERSION = ABI.constant("XEN_DOMCTL_INTERFACE_VERSION")


class World:
    """Domain 0, which is in control, and domain 1; one of them calls."""

    def __init__(self) -> None:
        self.hypervisor = Hypervisor(ABI, architecture.load("arm64"), console=lambda _text: None)
        self.domains = [self._domain(0, is_control=True), self._domain(1, is_control=False)]

    def _domain(self, number: int, *, is_control: bool) -> Domain:
        domain = self.hypervisor.add_domain(number, "arm", FlatCpu, is_control=is_control)
        FlatCpu.build_domain(domain, b"", "")
        return domain

    def domctl(
        self, command: str, *, caller: int = 0, handle: int = ARGUMENT, **fields: Any
    ) -> str:
        """What the conditions of the domctl ``command`` refuse a call with; "" if they do not."""
        thing = ABI.hypercalls["domctl"].commands[command]
        size = ABI.sizeof("xen_domctl")
        buffer = bytearray(size)
        values = {"interface_version": VERSION, "cmd": thing.number, "domain": 1, **fields}
        for path, value in values.items():
            view = ABI.view("xen_domctl", buffer)
            *outer, name = path.split("__")
            for step in outer:
                view = getattr(view, step)
            setattr(view, name, value)
        vcpu = self.domains[caller].vcpus[0]
        vcpu.copy_out(ARGUMENT, buffer)
        view_of = Argument(size, lambda data: ABI.view("xen_domctl", data), True, True)
        call = Call(self.hypervisor, {"u_domctl": (0, (1 << 64) - 1)}, view_of)
        refuse = declared.check(ABI, "arm", ABI.hypercalls["domctl"], thing, buffers=True)
        assert refuse is not None
        try:
            refuse(call.begin(vcpu, [handle], handle))
        except XenError as error:
            return error.errno
        return ""


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize(
    ("fields", "errno"),
    [
        ({"handle": NOWHERE}, "EFAULT"),
        ({"handle": NOWHERE - 8}, "EFAULT"),  # the end of it
        ({"interface_version": 1, "caller": 1, "domain": 9}, "EACCES"),  # comes first
        ({"caller": 1, "domain": 9}, "ESRCH"),  # before privilege
        ({"caller": 1}, "EPERM"),
        ({"domain": 0}, "EINVAL"),  # the caller
        ({}, ""),
    ],
)
def test_the_first_that_holds(world: World, fields: dict[str, Any], errno: str) -> None:
    assert world.domctl("XEN_DOMCTL_destroydomain", **fields) == errno


def test_vcpus_are_those_of_the_domain_named(world: World) -> None:
    name = "u__vcpucontext__vcpu"
    assert world.domctl("XEN_DOMCTL_setvcpucontext", **{name: 0}) == ""
    assert world.domctl("XEN_DOMCTL_setvcpucontext", **{name: 1}) == "EINVAL"


def test_a_handle_is_read_as_far_as_its_count_says(world: World) -> None:
    def read(handle: int, elements: int) -> str:
        return world.domctl(
            "XEN_DOMCTL_setnodeaffinity",
            u__nodeaffinity__nodemap__nr_bits=elements,
            u__nodeaffinity__nodemap__bitmap=handle,
        )

    assert read(NOWHERE - 8, 64) == ""
    assert read(NOWHERE - 8, 65) == "EFAULT"
    assert read(NOWHERE, 0) == ""
    assert read(0, 1 << 31) == "EFAULT"  # and takes no time


def test_conditions_of_ports_are_left_to_handlers() -> None:
    hypercall = ABI.hypercalls["event_channel_op"]
    thing = hypercall.commands["EVTCHNOP_send"]
    refuse = declared.check(ABI, "arm", hypercall, thing, buffers=False)
    assert refuse is not None  # the handle

    world = World()
    vcpu = world.domains[1].vcpus[0]
    call = Call(
        world.hypervisor, {}, Argument(4, lambda data: ABI.view("evtchn_send", data), True, False)
    )
    refuse(call.begin(vcpu, [], ARGUMENT))
    with pytest.raises(XenError, match="EFAULT"):
        refuse(call.begin(vcpu, [], NOWHERE))
