"""The generated crate: cargo builds it without a warning, and it asserts the right layout."""

import os
import random
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from xenport import emit
from xenport.abi import Abi, Description, Field, load
from xenport.emit import rust


def cargo(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    found = shutil.which("cargo")
    assert found is not None, "cargo is missing; tools/install-system installs it"
    return subprocess.run(
        [found, *arguments, "--offline", "--quiet"],
        cwd=folder,
        env={**os.environ, "RUSTFLAGS": "-D warnings", "CARGO_TARGET_DIR": str(folder / "target")},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def builds(folder: Path) -> None:
    done = cargo(folder, "build")
    assert done.returncode == 0, done.stderr


def run(abi: Abi, folder: Path, main: str) -> list[str]:
    """The lines that a program with the crate prints."""
    emit.write(abi, "rust", folder / "xen_abi")
    (folder / "src").mkdir()
    (folder / "src" / "main.rs").write_text(main)
    (folder / "Cargo.toml").write_text(
        '[package]\nname = "user"\nversion = "1.0.0"\nedition = "2021"\n'
        '[dependencies]\nxen_abi = { path = "xen_abi" }\n[workspace]\n'
    )
    done = cargo(folder, "run")
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_builds(every: Abi, tmp_path: Path) -> None:
    emit.write(every, "rust", tmp_path)
    builds(tmp_path)
    source = "".join(file.read_text() for file in tmp_path.glob("src/**/*.rs"))
    for name in every.structures:
        layout = every.layout(name)
        own = f"{name}_" if name in rust._TYPES else name
        assert f"\nlayout!({own}, {layout.size}, {layout.align}, {{" in source


def test_building_again_after_cargo(small: Description, tmp_path: Path) -> None:
    """What cargo leaves in the crate does not keep it from being replaced."""
    emit.write(small.abi("little64", "4.17"), "rust", tmp_path / "crate")
    builds(tmp_path / "crate")
    assert (tmp_path / "crate" / "Cargo.lock").is_file()
    emit.write(small.abi("big64", "4.17"), "rust", tmp_path / "crate")
    builds(tmp_path / "crate")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("layout!(status, 32, 8", "layout!(status, 40, 8"),
        ("layout!(status, 32, 8", "layout!(status, 32, 4"),
        ("dom: 0, port: 4, u: 8", "dom: 0, port: 5, u: 8"),
        ("pub dom: domid_t,\n    /// Which.", "pub dom: u64,\n    /// Which."),
        ("dom: 0, port: 4, u: 8", "dom: 0, port: 4, u: 16"),
    ],
)
def test_a_wrong_layout_does_not_build(
    small: Description, tmp_path: Path, old: str, new: str
) -> None:
    emit.write(small.abi("little64", "4.17"), "rust", tmp_path)
    file = tmp_path / "src" / "io" / "event.rs"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    done = cargo(tmp_path, "build")
    assert done.returncode != 0 and "assert" in done.stderr


def own_bit_fields(abi: Abi, name: str) -> list[Field]:
    """The bit fields of a structure over which no other member lies."""

    def bits(member: Field) -> set[int]:
        whole = range(member.offset * 8, (member.offset + member.size) * 8)
        if member.bits is None or member.bit_offset is None:
            return set(whole)
        if abi.architecture.data_model.endian == "little":
            return set(whole[member.bit_offset : member.bit_offset + member.bits])
        end = member.size * 8 - member.bit_offset
        return set(whole[end - member.bits : end])

    layout = abi.layout(name)
    taken = [(member, bits(member)) for member in layout.fields]
    return [
        member
        for member, own in taken
        if member.bits is not None
        and layout.kind == "struct"
        and not any(own & other for one, other in taken if one is not member)
    ]


def rust_name(name: str) -> str:
    return f"{name}_" if name in rust._KEYWORDS else name


def test_bit_fields(newest: Abi, tmp_path: Path) -> None:
    """Every bit field is read, and then written, as by a view of the same bytes."""
    lines, expected = ["#![allow(unused_mut)]", "fn main() {"], []
    modules = {
        name: f"xen_abi::{re.sub('[^a-z0-9_/]', '_', header.path.removesuffix('.h'))}"
        for header in newest.headers()
        for name in header.types
    }
    for name in newest.structures:
        fields = own_bit_fields(newest, name)
        if not fields:
            continue
        size = newest.sizeof(name)
        data = random.Random(name).randbytes(size)
        memory = bytearray(data + bytes(8))  # a view reads whole units
        view = newest.view(name, memory)
        path = f"{modules[name].replace('/', '::')}::{name}"
        lines += [
            f"    let bytes: [u8; {size}] = {list(data)};",
            f"    let mut value = unsafe {{ (bytes.as_ptr() as *const {path}).read_unaligned() }};",
        ]
        for member in fields:
            own = rust_name(member.name) if member.name != "set_in" else "set_in_"
            assert member.bits is not None
            lines.append(f'    println!("{name}.{member.name} {{}}", value.{own}());')
            expected.append(f"{name}.{member.name} {getattr(view, member.name)}")
            new = -1 if member.layout.signed else 0x5A5A5A5A5A5A5A5A & (1 << member.bits) - 1
            lines.append(f"    value.set_{member.name}({new});")
            setattr(view, member.name, new)
            lines.append("    let bytes = core::ptr::addr_of!(value);")
            lines.append(f'    println!("{{:?}}", unsafe {{ *(bytes as *const [u8; {size}]) }});')
            expected.append(str(list(memory[:size])))
    if not expected:
        return  # an ABI without bit fields
    assert run(newest, tmp_path, "\n".join([*lines, "}"])) == expected


def test_use(small: Description, tmp_path: Path) -> None:
    """Handles, unions, flexible arrays, odd alignments and constants, as a guest uses them."""
    main = """
use xen_abi::io::event::{send, status, EVENT_send};
use xen_abi::layout::{anonymous, any_of, flexible, handles};
use xen_abi::xen::{DOMID_SELF, GREETING, LARGE, MINUS_ONE, SMALL_MASK, time_info};
use xen_abi::{ConstHandle, Handle, Handle64};

const PORT: send = send { port: 7 };
static mut LIST: [u64; 2] = [1, 2];

fn main() {
    let mut one = status::default();
    one.list = Handle::new(unsafe { core::ptr::addr_of_mut!(LIST[0]) }.cast());
    one.u.open.port = PORT.port;
    println!("{} {}", unsafe { one.u.open.port }, one.list == Handle::NULL);
    let mut all = handles::default();
    all.b = Handle64::from_address(0x1_0000_0001);
    all.c = ConstHandle::new(&one);
    println!("{:?} {}", all.b, all.c.address() != 0);
    let mut time = time_info { system_time: 5u64.into(), ..Default::default() };
    time.shift = -1;
    println!("{} {}", u64::from(time.system_time), time.shift);
    let any = any_of { time };
    println!("{}", unsafe { any.odd[if cfg!(target_endian = "little") { 8 } else { 15 }] });
    let mut nested = anonymous::default();
    nested.anon0.anon0.high = 9;
    println!("{}", unsafe { core::mem::size_of_val(&nested.anon0.inner) });
    println!("{}", flexible::default().data.len());
    let numbers: (u32, u32, i32, u64) = (EVENT_send, DOMID_SELF, MINUS_ONE, LARGE);
    println!("{:?} {} {}", numbers, GREETING, core::mem::size_of_val(&SMALL_MASK));
}
"""
    for arch, words in (("little64", 8), ("little32", 4)):
        folder = tmp_path / arch
        folder.mkdir()
        assert run(small.abi(arch, "4.17"), folder, main) == [
            "7 false",
            "0x100000001 true",
            "5 -1",
            "5" if arch == "little64" else "0",
            "4",
            "0",
            f"(4, 32752, -1, 4294967296) hello {words}",
        ]


def test_members_over_each_other(awkward: Abi, tmp_path: Path) -> None:
    """Bit fields inside a union, big endian: read where a view has written them."""
    memory = bytearray(awkward.sizeof("bits") + 8)
    view = awkward.view("bits", memory)
    view.u.h, view.u.i, view.u.j, view.n = 0x155, 0x0AB, 0xCD, 0x2A
    data = list(memory[: awkward.sizeof("bits")])
    main = f"""
fn main() {{
    let bytes: [u8; {len(data)}] = {data};
    let value = unsafe {{ (bytes.as_ptr() as *const xen_abi::names::bits).read_unaligned() }};
    let inner = unsafe {{ value.u.anon2 }};
    println!("{{}} {{}} {{}}", inner.h(), inner.i(), inner.j);
    println!("{{}}", unsafe {{ value.anon0.anon1 }}.n());
}}
"""
    assert run(awkward, tmp_path, main) == [f"{0x155} {0x0AB} {0xCD}", "42"]


def test_names(awkward: Abi) -> None:
    texts = rust.texts(awkward)
    names = texts["src/names.rs"]
    for part in (
        "pub mod type__;",
        "pub type Handle_ = u32;",
        "pub type type_ = u64;",
        "    pub async_: [u8; 3],",
        "    pub fn set_in(&mut self, value: u16) {",
        "    pub fn set_set_in(&mut self, value: u16) {",
        "pub const TOP: u64 = 0xffffffffffffffff;",
        "pub const LOWEST: i32 = -0x7fffffff;",
        "pub union empty_union {",
        "    pub list: [a_pair_u; 0],",
    ):
        assert part in names
    assert "src/lib_.rs" in texts and "src/_9p.rs" in texts and "src/names/type__.rs" in texts


def test_documentation(small: Description) -> None:
    text = rust.texts(small.abi("little64", "4.17"))["src/io/event.rs"]
    assert "/// State of a port.\n#[derive(Clone, Copy)]\n#[repr(C)]\npub struct status {" in text
    assert "    /// Which.\n    pub port: port_t,\n    /// OUT\n    pub u: status_u," in text


def test_lines_are_short() -> None:
    for path, text in rust.texts(load("x86_64", "4.17")).items():
        assert max(map(len, text.splitlines())) <= 100, path
