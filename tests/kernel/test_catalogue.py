"""Reading the catalogue of tests: what is in it, and what broken files get for an answer."""

import itertools
import random
from pathlib import Path

import pytest
from catalogue_elf import elf, entry

from xenport.errors import InputError
from xenport.kernel import Test, read_catalogue


def catalogue(folder: Path, data: bytes) -> tuple[Test, ...]:
    path = folder / "kernel.elf"
    path.write_bytes(data)
    return read_catalogue(path)


@pytest.mark.parametrize(("order", "bits"), [*itertools.product("<>", (64, 32))])
def test_any_class_and_byte_order(tmp_path: Path, order: str, bits: int) -> None:
    entries = entry(
        order=order,
        bits=bits,
        name="evtchn_send",
        rung="events",
        needs="pv|hvm dom0",
        title="ä title",
    )
    entries += entry(
        order=order, bits=bits, name="off", rung="power", ends="poweroff", events="SUSPEND WAKEUP"
    )

    tests = catalogue(tmp_path, elf(entries, order=order, bits=bits))

    assert tests == (
        Test(0, "evtchn_send", "events", "ä title", ("pv|hvm", "dom0"), ""),
        Test(1, "off", "power", "a test", (), "poweroff", ("SUSPEND", "WAKEUP")),
    )


def test_a_kernel_without_tests(tmp_path: Path) -> None:
    assert catalogue(tmp_path, elf(b"")) == ()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a usable ELF file"),
        (b"#!/bin/sh\n", "not a usable ELF file"),
        (elf(entry())[:60], "not a usable ELF file"),
        (elf(entry(), name="other"), "no test kernel: it has no section xenport_tests"),
        (elf(entry(), size=10_000), "cut off"),
        (elf(entry()[:-1]), "279 bytes long, expected a multiple of 280"),
        (elf(entry(name="a") * 2), "tests 0 and 1 have the same name 'a'"),
        (elf(entry(name=b"\xff\xfe")), "the name of test 0 is not UTF-8"),
        (elf(entry(title=b"x" * 120)), "the title of test 0 has no end"),
        (elf(entry(name="")), "test 0 has no usable name"),
        (elf(entry(name="a b")), "test 0 has no usable name"),
        (elf(entry(rung="Enter")), "no usable rung: 'Enter'"),
        (elf(entry(ends="explosion")), "ends its domain by 'explosion', expected one of poweroff"),
    ],
)
def test_broken(tmp_path: Path, data: bytes, message: str) -> None:
    with pytest.raises(InputError) as caught:
        catalogue(tmp_path, data)
    assert message in caught.value.message
    assert caught.value.path == tmp_path / "kernel.elf"


def test_missing_file_and_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "none.elf", tmp_path):
        with pytest.raises(InputError, match="cannot be read"):
            read_catalogue(path)


def test_no_damage_gets_through_as_another_error(tmp_path: Path) -> None:
    """Cut at every length, and with bytes changed at random: a catalogue or an InputError."""
    whole = elf(entry(name="one") + entry(name="two"))
    dice = random.Random(1)
    damaged = [whole[:length] for length in range(0, len(whole), 7)]
    for _ in range(150):
        data = bytearray(whole)
        for _ in range(dice.randint(1, 4)):
            # Headers are small: half of the hits go there.
            end = len(data) if dice.random() < 0.5 else 64
            data[dice.randrange(end)] = dice.randrange(256)
        damaged.append(bytes(data))
        tail = bytearray(whole)
        tail[dice.randrange(len(tail) - 192, len(tail))] = dice.randrange(256)
        damaged.append(bytes(tail))
    for data in damaged:
        try:
            catalogue(tmp_path, data)
        except InputError:
            continue
