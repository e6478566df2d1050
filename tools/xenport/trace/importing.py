"""Recordings of other tools, and what is left of cut-off ones, as traces."""

import lzma
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import xenport.abi
from xenport.errors import InputError
from xenport.trace import hcrec, xentrace
from xenport.trace.format import read
from xenport.trace.record import Metadata
from xenport.trace.writer import Writer

_XZ = b"\xfd7zXZ\x00"
_START = 256  # bytes that tell what a file is


@dataclass
class Imported:
    """What an import did. ``damage`` is why it holds less than the source should have."""

    hypercalls: int = 0
    notes: list[str] = field(default_factory=list)
    damage: str = ""


def import_(
    source: Path,
    out: Path,
    arch: str | None,
    release: str | None,
    provenance: str | None = None,
    tsc_mhz: float | None = None,
) -> Imported:
    """Write the recording ``source`` as the trace ``out``.

    Of a damaged source all that comes before the damage is written. Raises ``InputError`` if it is
    no recording, if it needs ``arch`` and ``release`` and does not get them, or if ``out`` is there
    already.
    """
    if source.is_dir():
        return _join(source, out)
    with _opened(source) as file:
        start = file.read(_START)
        file.seek(0)
        if start[:4] == b"PAR1":
            raise InputError("it is a trace already", source)
        is_xentrace = xentrace.looks_like(start)
        if not is_xentrace and not hcrec.looks_like(start):
            raise InputError(
                "neither a recording of the QEMU plugin nor a file of xentrace", source
            )
        if arch is None or release is None:
            raise InputError("say with --arch and --release whose ABI it is", source)
        abi = xenport.abi.load(arch, release)
        metadata = Metadata(arch, release, provenance or f"imported from {source.name}")
        done = Imported()
        recording: hcrec.Recording | xentrace.Recording
        if is_xentrace:
            recording = xentrace.Recording(file, abi, tsc_mhz)
        else:
            recording = hcrec.Recording(file, abi)
        with Writer(out, metadata) as writer:
            for record in recording.records():
                writer.write(record)
                done.hypercalls += 1
    done.notes += _notes(recording)
    if recording.damage.reason:
        done.damage = f"{recording.damage.reason}, at byte {recording.damage.offset:,}"
    return done


def _notes(recording: hcrec.Recording | xentrace.Recording) -> Iterator[str]:
    if isinstance(recording, xentrace.Recording):
        if recording.lost:
            yield f"Xen had no room for {recording.lost:,} records of the trace buffer"
        if recording.inner:
            yield f"{recording.inner:,} hypercalls inside multicalls are left out"
        return
    if recording.skipped:
        yield (
            f"{recording.skipped:,} hypercalls of guests of another width are left out: they are "
            "another architecture's"
        )
    if recording.strays:
        yield f"{recording.strays:,} returns without a hypercall are left out"


def _join(parts: Path, out: Path) -> Imported:
    """The parts stay where they are, which may be where those of ``out`` would be."""
    trace = read(parts)
    done = Imported()
    if out.exists():
        raise InputError("it exists already; remove it or choose another name", out)
    joined = out.with_name(f"{out.name}.joined")
    with Writer(joined, trace.metadata) as writer:
        try:
            for record in trace.records():
                writer.write(record)
                done.hypercalls += 1
        except InputError as error:
            done.damage = str(error)
    joined.replace(out)
    return done


@contextmanager
def _opened(source: Path) -> Iterator[IO[bytes]]:
    try:
        with source.open("rb") as raw:
            packed = raw.read(len(_XZ)) == _XZ
            raw.seek(0)
            if not packed:
                yield raw
                return
            with lzma.open(raw) as file:
                yield file
    except lzma.LZMAError as error:
        raise InputError(f"xz cannot unpack it: {error}", source) from None
    except OSError as error:
        raise InputError(error.strerror or str(error), source) from None
