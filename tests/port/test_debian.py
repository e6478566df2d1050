"""Images from Debian packages: by an apt that is a small script, so without a network."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from xenport.errors import InputError
from xenport.port import debian
from xenport.port.description import DebianImage

IMAGE = DebianImage(suite="bookworm", package="xen", architecture="arm64", image="boot/xen.gz")

ONE_LINE = """\
# deb http://commented.invalid/debian bookworm main
deb [signed-by=/usr/share/keyrings/d.gpg arch=amd64] http://mirror.invalid/debian/ bookworm main # x
deb-src http://source.invalid/debian bookworm main
deb http://mirror.invalid/debian-security bookworm-security main contrib
deb http://docker.invalid/linux/debian bookworm stable
deb cdrom:[Debian]/ bookworm
"""

STANZAS = """\
# A comment
Types: deb deb-src
URIs: http://mirror.invalid/debian
# Another
Suites: trixie trixie-updates
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abcd

Types: deb
URIs: http://off.invalid/debian
Suites: trixie
Components: main
Enabled: no

Types: deb
URIs: http://mirror.invalid/security
Suites: trixie-security
Components: main
Trusted: yes

Types: deb
URIs: http://third.invalid/apt
Suites: trixie-pgdg
Components: main
"""


def test_one_line_sources() -> None:
    archive, security = debian.one_line_sources(ONE_LINE)
    assert archive.uri == "http://mirror.invalid/debian/"
    assert archive.options == {"signed-by": "/usr/share/keyrings/d.gpg"}
    assert (security.uri, security.suites) == (
        "http://mirror.invalid/debian-security",
        ("bookworm-security",),
    )


def test_stanza_sources() -> None:
    archive, security = debian.stanza_sources(STANZAS)
    assert archive.suites == ("trixie", "trixie-updates")
    assert security.options == {"trusted": "yes"}
    assert archive.stanza("bookworm", "arm64") == (
        "Types: deb\nURIs: http://mirror.invalid/debian\nSuites: bookworm\nComponents: main\n"
        "Architectures: arm64\n"
        "signed-by: -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abcd\n"
    )


APT_CONFIG = """
import os
print(f"LIST='{os.environ['FAKE_APT']}/sources.list'")
print(f"PARTS='{os.environ['FAKE_APT']}/sources.list.d/'")
"""

# Does what the file `error` says; has no security updates if there is `no-security`; keeps what it
# was told and the sources it saw.
APT_GET = """
import os, shutil, sys
from pathlib import Path
here = Path(os.environ["FAKE_APT"])
with (here / "calls").open("a") as file:
    file.write(" ".join(sys.argv[1:]) + "\\n")
shutil.copy("xenport.sources", here / "seen.sources")
shutil.copy("apt.conf", here / "seen.conf")
if (here / "error").exists():
    sys.exit((here / "error").read_text())
if (here / "no-security").exists() and "-security" in Path("xenport.sources").read_text():
    sys.exit("E: Failed to fetch Packages.xz  File has unexpected size")
if "download" in sys.argv:
    shutil.copy(here / "xen.deb", "xen_1_arm64.deb")
"""


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that the fake apt works in: put `xen.deb` and perhaps `error` there."""
    if shutil.which("dpkg-deb") is None:
        pytest.skip("no dpkg-deb")
    folder = tmp_path / "apt"
    programs = tmp_path / "bin"
    programs.mkdir()
    (folder / "sources.list.d").mkdir(parents=True)
    (folder / "sources.list").write_text(ONE_LINE)
    (folder / "sources.list.d" / "third.list.disabled").write_text("deb http://x.invalid a main")
    for name, body in (("apt-config", APT_CONFIG), ("apt-get", APT_GET)):
        (programs / name).write_text(f"#!{sys.executable} -ISB\n{body}")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)
    monkeypatch.setenv("FAKE_APT", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return folder


@pytest.fixture
def package(apt: Path, tmp_path: Path) -> Callable[[str], None]:
    """Makes the package that apt has to offer, with one file in it."""

    def make(file: str) -> None:
        root = tmp_path / "package"
        (root / "DEBIAN").mkdir(parents=True)
        control = "Package: xen\nVersion: 1\nArchitecture: arm64\nMaintainer: x\nDescription: x\n"
        (root / "DEBIAN" / "control").write_text(control)
        (root / file).parent.mkdir(parents=True)
        (root / file).write_bytes(b"image")
        (root / file).chmod(0o6755)
        subprocess.run(
            ["dpkg-deb", "--build", root, apt / "xen.deb"], check=True, capture_output=True
        )

    return make


def cached(tmp_path: Path) -> list[str]:
    cache = tmp_path / "cache" / "xenport"
    return sorted(str(path.relative_to(cache)) for path in cache.rglob("*") if path.is_file())


def test_fetch(apt: Path, package: Callable[[str], None], tmp_path: Path) -> None:
    package("boot/xen.gz")
    said: list[str] = []
    path = debian.fetch_image(IMAGE, said.append)
    assert path == debian.image_path(IMAGE)
    assert path.read_bytes() == b"image"
    assert path.stat().st_mode & 0o7000 == 0
    assert cached(tmp_path) == ["debian/bookworm/xen_arm64/boot/xen.gz"]
    assert any("bookworm" in line for line in said)
    calls = (apt / "calls").read_text().splitlines()
    assert [call.split()[3:] for call in calls] == [["update"], ["download", "xen"]]
    sources = (apt / "seen.sources").read_text()
    assert "URIs: http://mirror.invalid/debian/\nSuites: bookworm\n" in sources
    assert "URIs: http://mirror.invalid/debian-security\nSuites: bookworm-security\n" in sources
    assert 'APT::Architecture "arm64";' in (apt / "seen.conf").read_text()


def test_security_updates_are_half_there(apt: Path, package: Callable[[str], None]) -> None:
    package("boot/xen.gz")
    (apt / "no-security").touch()
    said: list[str] = []
    assert debian.fetch_image(IMAGE, said.append).read_bytes() == b"image"
    assert any("unexpected size; going on without security updates" in line for line in said)
    assert "-security" not in (apt / "seen.sources").read_text()


def test_fetch_again_does_nothing(apt: Path, package: Callable[[str], None]) -> None:
    package("boot/xen.gz")
    debian.fetch_image(IMAGE, print)
    (apt / "calls").unlink()
    debian.fetch_image(IMAGE, print)
    assert not (apt / "calls").exists()


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("W: x\nE: Unable to locate package xen\nE: more", "Unable to locate package xen"),
        ("Segmentation fault", "Segmentation fault"),
        ("E: Failed to fetch http://mirror.invalid/ Could not resolve", "Failed to fetch"),
    ],
)
def test_apt_fails(apt: Path, tmp_path: Path, said: str, message: str) -> None:
    (apt / "error").write_text(said)
    with pytest.raises(InputError, match=message) as caught:
        debian.fetch_image(IMAGE, print)
    assert "\n" not in str(caught.value)
    assert cached(tmp_path) == []
    assert list((tmp_path / "cache" / "xenport").iterdir()) == []


def test_file_is_not_in_the_package(package: Callable[[str], None], tmp_path: Path) -> None:
    package("boot/other")
    with pytest.raises(InputError, match=r"package xen has no file boot/xen\.gz"):
        debian.fetch_image(IMAGE, print)
    assert cached(tmp_path) == []


def test_broken_package(apt: Path, tmp_path: Path) -> None:
    (apt / "xen.deb").write_bytes(b"!<arch>\nnot really")
    with pytest.raises(InputError, match="cannot unpack"):
        debian.fetch_image(IMAGE, print)
    assert cached(tmp_path) == []


def test_no_debian_mirror(apt: Path) -> None:
    (apt / "sources.list").write_text("deb http://docker.invalid/linux/debian bookworm stable\n")
    with pytest.raises(InputError, match="no Debian mirror for bookworm"):
        debian.fetch_image(IMAGE, print)


def test_no_apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(InputError, match="no apt"):
        debian.fetch_image(IMAGE, print)
