"""A hypervisor that runs no guests yet: a few instructions, started by the machine's firmware."""

from __future__ import annotations

import struct
import time
from pathlib import Path

import pytest

from xenport import port as ports
from xenport.errors import InputError
from xenport.port import Ended, Limits, Line

PORT = """\
name: fake
kind: bare
doc: A port of the tests.
architecture: ppc64
release: "3.2"
console: "(XEN) "
ends:
  - {kind: poweroff, hypervisor: "^.*\\nHello", event: SHUTDOWN guest-shutdown}
environments:
  powernv9: {doc: the hypervisor alone, machine: powernv9-skiboot}
"""

CONSOLE_WRITE, POWER_DOWN, POLL_EVENTS = 1, 5, 10  # calls of OPAL, the firmware
LOOP = 0x48000000


def call(token: int, *arguments: int) -> list[int]:
    """A call of the firmware, whose base is in r30 and whose entry is in r31."""
    return [
        *(0x38600000 + (index << 21) | value for index, value in enumerate(arguments)),  # li r3 …
        0x7FC2F378,  # mr r2, r30
        0x7FE903A6,  # mtctr r31
        0x38000000 | token,  # li r0, token
        0x4E800421,  # bctrl
    ]


#: The firmware powers off while it is polled.
POLL = call(POLL_EVENTS, 0)
HALT = [*call(POWER_DOWN, 0), *POLL, LOOP | -4 * len(POLL) & 0x03FFFFFC]


def hypervisor(text: bytes, *code: int) -> bytes:
    """A flat image that writes ``text`` on the console and goes on with ``code``."""
    # mr r30, r8; mr r31, r9; bcl 20, 31, .+4; mflr r29: the address of this instruction
    head = [0x7D1E4378, 0x7D3F4B78, 0x429F0005, 0x7FA802A6]
    data_at, here = 0x200, 4 * 3
    write = [
        0x389D0000 | (data_at - here),  # addi r4, r29: where the length is
        0x38BD0000 | (data_at + 8 - here),  # addi r5, r29: the text
        0x38600000,  # li r3, 0: the console
        *call(CONSOLE_WRITE),
    ]
    image = b"".join(word.to_bytes(4, "big") for word in [*head, *write, *code])
    return image.ljust(data_at, b"\0") + struct.pack(">Q", len(text)) + text


def boot(folder: Path, image: bytes, limits: Limits) -> tuple[list[Line], Ended]:
    (folder / "port.yaml").write_text(PORT)
    (folder / "xen").write_bytes(image)
    driver = ports.open(ports.load(folder / "port.yaml"), hypervisor=folder / "xen")
    with driver.boot("powernv9", None, "", folder / "log", limits) as running:
        *lines, ended = running.events()
    assert isinstance(ended, Ended)
    return [line for line in lines if isinstance(line, Line)], ended


def test_banner_and_clean_halt(tmp_path: Path) -> None:
    lines, ended = boot(tmp_path, hypervisor(b"(XEN) first\nHello, world\n", *HALT), Limits())
    assert (ended.kind, ended.detail) == ("poweroff", "Hello, world")
    assert "first" in [line.text for line in lines]
    assert {line.source for line in lines} == {"hypervisor"}


def test_banner_without_a_halt(tmp_path: Path) -> None:
    begun = time.monotonic()
    _, ended = boot(tmp_path, hypervisor(b"\nHello, world\n", LOOP), Limits(silence=4))
    assert ended.kind == "timeout"
    assert "seen: Hello, world; not seen: SHUTDOWN guest-shutdown" in ended.detail
    assert time.monotonic() - begun < 60


def test_halt_without_a_banner(tmp_path: Path) -> None:
    _, ended = boot(tmp_path, hypervisor(b"(XEN) nothing\n", *HALT), Limits())
    assert ended.kind == "exited"


def test_image_that_is_empty(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a hypervisor that is a file with something in it"):
        boot(tmp_path, b"", Limits())


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("machine: pow", "guest: ppc, machine: pow", ":10:.*a bare hypervisor has no guests"),
        ("powernv9-skiboot", "powernv9", ":10:.*only hosts the model"),
        ("kind: bare", "kind: qemu", "the key 'guest' is missing"),
    ],
)
def test_mistakes(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "port.yaml"
    path.write_text(PORT.replace(old, new))
    with pytest.raises(InputError, match=message):
        ports.load(path)


def riscv_hypervisor(text: bytes) -> bytes:
    """A flat image that writes ``text`` by the firmware's console, then has it power off."""
    code = [
        0x00000417,  # auipc s0, 0
        48 << 20 | 0x00040413,  # addi s0, s0, 48: the text
        0x00044503,  # lbu a0, (s0)
        0x00050A63,  # beqz a0, to the end
        0x00100893,  # li a7, 1: write a character
        0x00000073,  # ecall
        0x00140413,  # addi s0, s0, 1
        0xFEDFF06F,  # j to the lbu
        0x00800893,  # li a7, 8: shut down
        0x00000073,  # ecall
        0x0000006F,  # j here
        0,
    ]
    return b"".join(word.to_bytes(4, "little") for word in code) + text + b"\0"


@pytest.mark.parametrize(
    ("port", "image"),
    [
        ("xen-upstream-ppc64le", hypervisor(b"(XEN) x\nHello, ppc64le!\n", *HALT)),
        ("xen-upstream-riscv64", riscv_hypervisor(b"(XEN) x\n(XEN) All set up\n")),
    ],
)
def test_upstream_ports(port: str, image: bytes, tmp_path: Path) -> None:
    """What the ports wait for is recognised on their machines."""
    path = tmp_path / "xen"
    path.write_bytes(image)
    driver = ports.open(ports.load(port), hypervisor=path)
    environment = next(iter(ports.load(port).environments))
    with driver.boot(environment, None, "", tmp_path / "log", Limits()) as running:
        *_, ended = running.events()
    assert isinstance(ended, Ended)
    assert ended.kind == "poweroff", ended


def test_without_an_image(tmp_path: Path) -> None:
    path = tmp_path / "port.yaml"
    path.write_text(PORT)
    port = ports.load(path)
    (missing,) = ports.missing(port)
    assert (missing.what, "--hypervisor FILE" in missing.command) == ("a build of yours", True)
    assert not ports.missing(port, hypervisor=path)
    with pytest.raises(InputError, match="fake lacks a build of yours"):
        ports.open(port)
