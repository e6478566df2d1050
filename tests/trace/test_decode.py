"""What a record means: names, structures, results."""

import struct
from typing import Any

import pytest
from trace_records import record

import xenport.abi
from xenport.trace import Buffer
from xenport.trace.decode import Decoder

X86 = Decoder(xenport.abi.load("x86_64", "4.17"))
ARM = Decoder(xenport.abi.load("arm64", "4.17"))


def shown(decoder: Decoder, number: int, arguments: Any, buffers: Any = (), **changes: Any) -> str:
    one = record(0, number=number, arguments=arguments, buffers=tuple(buffers), **changes)
    return "\n".join([decoder.call(one), *(f"{n}: {k} {t}" for n, k, t in decoder.memory(one))])


def test_structure_with_what_xen_read_and_wrote() -> None:
    before, after = struct.pack("<HHI", 0x7FF0, 2, 77), struct.pack("<HHI", 0x7FF0, 2, 5)
    assert shown(ARM, 32, (6, 0x1000), [Buffer("arg", 0x1000, before, after)]) == (
        "event_channel_op EVTCHNOP_alloc_unbound(arg=0x1000) = 0\n"
        "arg: evtchn_alloc_unbound {dom=DOMID_SELF, remote_dom=2, port -> 5}"
    )


def test_error() -> None:
    assert "= -22 EINVAL" in shown(ARM, 32, (4, 0x1000), result=-22)


@pytest.mark.parametrize(
    ("changes", "end"),
    [
        ({"result": None}, "= ?"),
        ({"result": None, "continued": True}, "= continued"),
        ({"result": 0x10000}, "= 0x10000"),
        ({"result": -4000}, "= -4000 error 4000"),
    ],
)
def test_results(changes: dict[str, Any], end: str) -> None:
    assert shown(ARM, 32, (4, 0), **changes).endswith(end)


def test_unknown_numbers() -> None:
    assert shown(ARM, 99, (1, 0xFFFF), [Buffer("argument1", 16, b"\1\2", b"\1\3")]) == (
        "hypercall 99(0x1, 0xffff) = 0\nargument1: bytes 0102 -> 0103"
    )
    assert shown(ARM, 32, (77, 0)) == "event_channel_op command 77(arg=NULL) = 0"


def test_flags_and_numbers_by_name() -> None:
    assert "which=SEGBASE_GS_USER" in shown(X86, 25, (1, 0))
    assert "flags=UVMF_TLB_FLUSH|UVMF_LOCAL" not in shown(X86, 14, (0, 0, 0))
    assert "flags=UVMF_INVLPG" in shown(X86, 14, (0x1000, 5, 2))


def test_text() -> None:
    buffer = Buffer("buffer", 0x10, b'say "hi"\n', b'say "hi"\n')
    assert 'buffer: char "say \\"hi\\"\\n"' in shown(ARM, 18, (0, 9, 0x10), [buffer])


def test_list_with_a_command_in_each_element() -> None:
    ops = struct.pack("<Iiqq", 5, 0, 0x1234, 0) + struct.pack("<Iiqq", 6, 0, 0, 0)
    one = record(
        0,
        number=26,
        arguments=(0x2000, 2, 0, 0x7FF0),
        buffers=(Buffer("uops", 0x2000, ops, ops),),
    )
    assert X86.commands(one) == ["MMUEXT_NEW_BASEPTR", "MMUEXT_TLB_FLUSH_LOCAL"]
    assert X86.call(one) == "mmuext_op(uops=0x2000, count=2, pdone=NULL, foreigndom=DOMID_SELF) = 0"


def test_multicall() -> None:
    before = struct.pack("<8Q", 32, 0, 4, 0x6000, 0, 0, 0, 0)
    after = struct.pack("<8Q", 32, 2**64 - 22, 4, 0x6000, 0, 0, 0, 0)
    buffers = (
        Buffer("call_list", 0x5000, before, after),
        Buffer("call_list[0].arg", 0x6000, b"\5\0\0\0", b"\5\0\0\0"),
    )
    one = record(0, number=13, arguments=(0x5000, 1), buffers=buffers)
    assert [line.text for line in X86.memory(one)] == [
        "event_channel_op EVTCHNOP_send(arg=0x6000) = -22 EINVAL",
        "{port=5}",
    ]
    assert list(X86.inner(one)) == [("event_channel_op", "EVTCHNOP_send", "EINVAL")]


def test_command_inside_a_structure() -> None:
    """A domctl shows the member of its command alone."""
    abi = X86.abi
    data = bytearray(abi.sizeof("xen_domctl"))
    view = abi.view("xen_domctl", data)
    view.cmd, view.domain = abi.constant("XEN_DOMCTL_max_vcpus"), 3
    view.u.max_vcpus.max = 4
    content = bytes(data)
    text = shown(X86, 36, (0x1000,), [Buffer("u_domctl", 0x1000, content, content)])
    assert text.startswith("domctl XEN_DOMCTL_max_vcpus(u_domctl=0x1000) = 0\n")
    assert "max_vcpus={max=4}" in text
    assert "getdomaininfo" not in text


def test_short_and_missing_memory() -> None:
    assert "not recorded" in shown(ARM, 32, (6, 0x10), [Buffer("arg", 0x10, None, None)])
    assert "(cut off)" in shown(ARM, 32, (6, 0x10), [Buffer("arg", 0x10, b"\1\2", b"\1\2")])


def test_comparable_hides_what_may_differ() -> None:
    decoder = Decoder(ARM.abi, comparable=True)
    texts = set()
    for port, address in ((5, 0x1000), (6, 0x2000)):
        before, after = struct.pack("<HHI", 0x7FF0, 2, 0), struct.pack("<HHI", 0x7FF0, 2, port)
        texts.add(shown(decoder, 32, (6, address), [Buffer("arg", address, before, after)]))
    assert texts == {
        "event_channel_op EVTCHNOP_alloc_unbound(arg=*) = 0\n"
        "arg: evtchn_alloc_unbound {dom=DOMID_SELF, remote_dom=*, port -> *}"
    }


def test_any_bytes_can_be_shown() -> None:
    """Nothing that a guest passed ends in an exception."""
    for decoder in (X86, ARM):
        for hypercall in decoder.abi.hypercalls.values():
            commands = [command.number for command in hypercall.commands.values()] or [0]
            for command in commands:
                for fill in (b"\0", b"\xff", b"\x01"):
                    size = 4096
                    arguments = [0x1000] * len(hypercall.args)
                    index = decoder._reach.command_index(hypercall)
                    if index is not None:
                        arguments[index] = command
                    buffers = [
                        Buffer(arg.name, 0x1000, fill * size, fill * size) for arg in hypercall.args
                    ]
                    shown(decoder, hypercall.number, tuple(arguments), buffers)
