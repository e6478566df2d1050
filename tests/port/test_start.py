"""What is started: images that are looked at first, options, device trees, what a machine lacks."""

import dataclasses
import gzip
from collections.abc import Callable
from pathlib import Path

import fdt
import pytest
from fake_machine import MULTIBOOT

from xenport import architecture, port as ports
from xenport.architecture import Machine
from xenport.errors import InputError
from xenport.port import devicetree, multiboot
from xenport.port.description import Domain
from xenport.port.emulator import Emulator
from xenport.port.files import Files, read_unpacked
from xenport.port.payload import Payload

ARM64_IMAGE = bytes(0x38) + b"ARM\x64" + bytes(64)


@pytest.mark.parametrize("packed", [MULTIBOOT, gzip.compress(MULTIBOOT)], ids=["plain", "gzip"])
def test_image(port_file: Path, tmp_path: Path, packed: bytes) -> None:
    (tmp_path / "own").write_bytes(packed)
    ports.open(ports.load(port_file), hypervisor=tmp_path / "own")
    assert read_unpacked(tmp_path / "own") == MULTIBOOT


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a multiboot ELF file, plain or packed by gzip"),
        (b"text", "not a multiboot ELF file"),
        (MULTIBOOT[4:], "not a multiboot ELF file"),
        (MULTIBOOT[:70], "not a multiboot ELF file"),
        (MULTIBOOT[:-1] + b"\0", "not a multiboot ELF file"),
        (ARM64_IMAGE, "not a multiboot ELF file"),
        (gzip.compress(MULTIBOOT)[:-9], "broken gzip file: it is cut off"),
        (b"\x1f\x8bnonsense", "broken gzip file"),
    ],
    # The same names in every process: pytest-xdist compares them, and gzip writes the time.
    ids=[
        "empty",
        "text",
        "no magic",
        "cut off",
        "wrong checksum",
        "arm64",
        "gzip cut off",
        "no gzip",
    ],
)
def test_bad_image(port_file: Path, tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "own").write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        ports.open(ports.load(port_file), hypervisor=tmp_path / "own")
    assert caught.value.path == tmp_path / "own"


def test_no_image(port_file: Path, tmp_path: Path) -> None:
    port = ports.load(port_file)
    with pytest.raises(InputError, match="cannot read"):
        ports.open(port, hypervisor=tmp_path)
    (tmp_path / "xen").unlink()
    with pytest.raises(InputError, match=r"port fake lacks .*/xen; get it: build it"):
        ports.open(port)


def test_a_model_takes_no_image(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a model"):
        ports.open(ports.load("model-arm64"), hypervisor=tmp_path / "xen")


def test_missing(port_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert ports.missing(ports.load(port_file)) == [
        ports.Missing("qemu-system-x86_64", "apt-get install qemu-system-x86")
    ]
    assert ports.missing(ports.load("xen-4.17-arm64"))[1:] == [
        ports.Missing("xen-hypervisor-4.17-arm64", "xenport fetch xen-4.17-arm64")
    ]
    assert ports.missing(ports.load("model-arm64")) == []
    with pytest.raises(InputError, match=r"get it: xenport fetch xen-4\.17-arm64"):
        ports.open(ports.load("xen-4.17-arm64"))


def test_fetched_qemu_comes_first(
    port_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fake: Callable[[str], object]
) -> None:
    fake("silent")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    own = tmp_path / "cache" / "xenport" / "qemu" / "usr" / "bin" / "qemu-system-x86_64"
    own.parent.mkdir(parents=True)
    own.write_text("#!/bin/sh\n")
    monkeypatch.setenv("PATH", "/nowhere")
    assert ports.missing(ports.load(port_file)) == []


def content(path: str) -> bytes:
    return Path(path).read_bytes()


MACHINE = Machine(qemu="qemu", package="qemu", boot="multiboot")
EMULATOR = Emulator(Path("/nowhere/qemu"))


def test_multiboot_options() -> None:
    payload = Payload(b"xen", "com1=115200,8n1 dom0=pvh", b"kernel", "tests=5,0-3, x", None)
    with Files() as files:
        options = multiboot.options(payload, MACHINE, EMULATOR, files)
        assert options[::2] == ["-kernel", "-append", "-initrd"]
        kernel, _, arguments = options[5].partition(" ")
        assert content(options[1]) == b"xen"
        assert content(kernel) == b"kernel"
        assert options[3] == "com1=115200,8n1 dom0=pvh"
        assert arguments == "tests=5,,0-3,, x"


DOMAIN = Domain(
    console="(d1) ",
    supervisor="supervise=1",
    properties={"memory": [0, 32768], "cpus": 2, "xen,enhanced": "no-xenstore", "vpl011": True},
)


@pytest.fixture
def tree(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[fdt.FDT, list[str]]]:
    """Makes options for a machine with a small tree: the tree handed over, and the devices."""
    machine = architecture.load("arm64").machines["virt"]
    own = fdt.FDT()
    for name in ("chosen", "pcie@10000000", "cpus", "memory@40000000"):
        own.root.append(fdt.Node(name))
    own.get_node("chosen").append(fdt.PropStrings("bootargs", "old"))
    monkeypatch.setattr(devicetree, "_machine_tree", lambda *_: own.to_dtb(version=17))

    def make(payload: Payload) -> tuple[fdt.FDT, list[str]]:
        with Files() as files:
            options = devicetree.options(payload, machine, EMULATOR, files)
            assert options[0:4:2] == ["-kernel", "-dtb"]
            assert content(options[1]) == payload.hypervisor
            return fdt.parse_dtb(content(options[3])), options[4:]

    return make


def test_device_tree_of_dom0(tree: Callable[..., tuple[fdt.FDT, list[str]]]) -> None:
    made, devices = tree(Payload(b"xen", "console=dtuart", b"k" * 5, "tests=1,2", None))
    assert [node.name for node in made.root.nodes] == ["cpus", "memory@40000000", "chosen"]
    chosen = made.get_node("chosen")
    assert chosen.get_property("xen,xen-bootargs").value == "console=dtuart"
    assert chosen.get_property("bootargs") is None
    module = chosen.get_subnode("module@4a000000")
    assert list(module.get_property("reg")) == [0, 0x4A000000, 0, 5]
    assert module.get_property("bootargs").value == "tests=1,2"
    assert devices[0] == "-device"
    assert devices[1].endswith(",addr=0x4a000000,force-raw=on")
    assert len(devices) == 2


def test_device_tree_of_a_domain_with_another_kernel(
    tree: Callable[..., tuple[fdt.FDT, list[str]]],
) -> None:
    payload = Payload(b"xen", "a", b"k" * 3, "tests=1", DOMAIN, supervisor=b"s" * 5)
    made, devices = tree(payload)
    chosen = made.get_node("chosen")
    assert list(chosen.get_subnode("module@4a000000").get_property("reg"))[3] == 5
    module = chosen.get_subnode("domU1").get_subnode("module@4a200000")
    assert list(module.get_property("reg"))[3] == 3
    assert len({device.split(",")[1] for device in devices[1::2]}) == 2


def test_formats_of_images() -> None:
    image = bytes(0x24) + bytes.fromhex("18286f01") + bytes(32)
    assert [devicetree.is_hypervisor(image, kind) for kind in ("arm64-image", "arm32-zimage")] == [
        False,
        True,
    ]
    assert devicetree.is_hypervisor(bytes(0x38) + b"ARM\x64", "arm64-image")
    assert devicetree.wanted("arm32-zimage") == "a 32-bit Arm zImage"


def test_device_tree_of_a_domain(tree: Callable[..., tuple[fdt.FDT, list[str]]]) -> None:
    made, devices = tree(Payload(b"xen", "a", b"k" * 0x200001, "tests=1", DOMAIN))
    chosen = made.get_node("chosen")
    dom0 = chosen.get_subnode("module@4a000000")
    assert dom0.get_property("bootargs").value == "supervise=1"
    domain = chosen.get_subnode("domU1")
    assert domain.get_property("compatible").value == "xen,domain"
    assert list(domain.get_property("memory")) == [0, 32768]
    assert domain.get_property("xen,enhanced").value == "no-xenstore"
    assert domain.get_property("vpl011") is not None
    module = domain.get_subnode("module@4a400000")
    assert module.get_property("bootargs").value == "tests=1"
    assert [device.split(",")[2] for device in devices[1::2]] == [
        "addr=0x4a000000",
        "addr=0x4a400000",
    ]


def test_no_command_line(tree: Callable[..., tuple[fdt.FDT, list[str]]]) -> None:
    made, _ = tree(Payload(b"xen", "a", b"k", "", None))
    assert made.get_node("chosen").get_subnode("module@4a000000").get_property("bootargs") is None


def multiboot_modules(payload: Payload) -> list[tuple[bytes, str]]:
    """What is in each module, and its command line."""
    with Files() as files:
        options = multiboot.options(payload, MACHINE, EMULATOR, files)
        modules = options[5].replace(",,", ";").split(",")
        parts = [module.partition(" ") for module in modules]
        return [(content(name), line.replace(";", ",")) for name, _, line in parts]


def test_multiboot_of_a_domain() -> None:
    domain = DOMAIN.model_copy(update={"supervisor": "supervise=1", "properties": {}})
    payload = Payload(b"xen", "a", b"kernel", "", domain, built=("pv tests=5,0-3 peer=0",))
    module = b"pv tests=5,0-3 peer=0\0\0".ljust(4096, b"\0") + b"kernel"
    assert multiboot_modules(payload) == [(b"kernel", "supervise=1"), (module, "")]
    other = dataclasses.replace(payload, supervisor=b"other")
    assert multiboot_modules(other) == [(b"other", "supervise=1"), (module, "")]
    often = dataclasses.replace(payload, built=("pv tests=7", "hvm " + "x" * 4096))
    module = b"pv tests=7\0hvm " + b"x" * 4096 + b"\0\0"
    assert multiboot_modules(often)[1] == (module.ljust(8192, b"\0") + b"kernel", "")


def test_multiboot_has_no_device_tree() -> None:
    with pytest.raises(InputError, match="device tree"):
        multiboot_modules(Payload(b"", "", b"", "", DOMAIN))
