"""Gets files out of Debian packages through the machine's own mirror, without root.

The mirror's address and keys come from the machine's apt configuration. apt itself does the rest,
in a private root below xenport's cache: with its own sources, lists, archives and an empty status,
so that neither the state of the system nor its release and architecture matter or change.
"""

import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from xenport import content
from xenport.errors import InputError
from xenport.port.description import DebianImage

Say = Callable[[str], None]
"""Takes one line of progress."""

_PATIENCE = 600  # seconds for one run of apt

# The suites of Debian's own archive; third parties use the same names with other components.
_SUITE = re.compile(r"[a-z]+(-security|/updates|-updates|-backports)?/?")

_NO = ("no", "false", "0", "off", "without", "disable")


def image_path(image: DebianImage) -> Path:
    """Where the image is, or will be when it has been fetched."""
    return _package_folder(image) / image.image


def _package_folder(image: DebianImage) -> Path:
    package = f"{image.package}_{image.architecture}"
    return content.cache_folder() / "debian" / image.suite / package


def fetch_image(image: DebianImage, say: Say) -> Path:
    """Get the image into the cache, unless it is there; its path.

    Raises `InputError` when there is no apt, mirror, network or such package, and when the package
    has no such file.
    """
    path = image_path(image)
    if not path.is_file():
        suites = [image.suite, f"{image.suite}-security"]
        with _private_apt(suites, image.architecture, say) as apt:
            package = apt.download([image.package])[0]
            with _new_folder(_package_folder(image)) as folder:
                _unpack(package, lambda name: name == image.image, folder)
                if not (folder / image.image).is_file():
                    raise InputError(f"package {image.package} has no file {image.image}")
        if not path.is_file():
            raise InputError("in the way; remove it", _package_folder(image))
    return path


def fetch_programs(packages: Sequence[str], suites: Sequence[str], folder: Path, say: Say) -> None:
    """Get programs of the machine's own architecture, with their libraries and data, into a folder.

    The C library is left out: the machine has one, and a program can only use the one that belongs
    to its loader. The last of ``suites`` is preferred. Raises `InputError` like `fetch_image`.
    """
    architecture = _run(["dpkg", "--print-architecture"]).strip()
    with (
        _private_apt(suites, architecture, say) as apt,
        _new_folder(folder) as new,
    ):
        for package in apt.download_all(packages, suites[-1]):
            if not package.name.startswith("libc6_"):
                _unpack(package, _of_a_program, new)


def release_of_this_machine() -> str:
    """``bookworm``; raises `InputError` if the machine does not say."""
    for line in Path("/etc/os-release").read_text().splitlines():
        key, _, value = line.partition("=")
        if key == "VERSION_CODENAME":
            return value.strip('"')
    raise InputError("/etc/os-release does not tell the release of this machine")


def _of_a_program(name: str) -> bool:
    return name.startswith(("lib/", "usr/lib/", "usr/bin/qemu-system-", "usr/share/"))


# The machine's sources.


@dataclass(frozen=True)
class _Source:
    """One address that the machine gets packages from."""

    uri: str
    suites: tuple[str, ...]
    options: Mapping[str, str]  # fields about trust, as a .sources file has them

    def stanza(self, suite: str, architecture: str) -> str:
        """The same place, another suite and architecture, in the format of a .sources file."""
        fields = {
            "Types": "deb",
            "URIs": self.uri,
            "Suites": suite,
            "Components": "main",
            "Architectures": architecture,
            **self.options,
        }
        return "".join(f"{name}: {value}\n" for name, value in fields.items())


def _source_for(suite: str, sources: Iterable[_Source]) -> _Source | None:
    """Where to look for ``suite``: the archive of security updates is a place of its own."""
    security = suite.endswith("-security")
    for source in sources:
        if any(_is_security(known) == security for known in source.suites):
            return source
    return None


def _is_security(suite: str) -> bool:
    return suite.rstrip("/").endswith(("-security", "/updates"))


def _machine_sources() -> list[_Source]:
    """Debian's own archives in the machine's configuration, in the order of its files."""
    where = _run(
        [
            "apt-config",
            "shell",
            "LIST",
            "Dir::Etc::sourcelist/f",
            "PARTS",
            "Dir::Etc::sourceparts/d",
        ]
    )
    paths = dict(re.findall(r"^(\w+)='([^']*)'$", where, re.MULTILINE))
    parts = Path(paths.get("PARTS", "/nowhere"))
    found: list[_Source] = []
    for path in [Path(paths.get("LIST", "/nowhere")), *sorted(parts.glob("*"))]:
        if not path.is_file():
            continue
        text = path.read_text(errors="replace")
        if path.suffix == ".list":
            found += one_line_sources(text)
        elif path.suffix == ".sources":
            found += stanza_sources(text)
    return found


def one_line_sources(text: str) -> Iterator[_Source]:
    """The sources in the older format: ``deb [signed-by=…] URI SUITE COMPONENT…``."""
    for line in text.splitlines():
        match = re.match(r"\s*deb\s+(?:\[(?P<options>[^]]*)\]\s+)?(?P<rest>[^#]*)", line)
        words = match["rest"].split() if match else []
        if match and len(words) >= 3:
            pairs = (option.partition("=") for option in (match["options"] or "").split())
            options = {name: value for name, _, value in pairs}
            yield from _debian_source(words[0], words[1:2], words[2:], options)


def stanza_sources(text: str) -> Iterator[_Source]:
    """The sources in the newer format: stanzas of fields, a value may go over several lines."""
    text = re.sub(r"^#.*\n?", "", text, flags=re.MULTILINE)
    for stanza in re.split(r"\n\s*\n", text):
        pairs = re.findall(r"^([\w-]+):[ \t]*(.*(?:\n[ \t].*)*)", stanza, re.MULTILINE)
        fields = {name.lower(): value.strip() for name, value in pairs}
        if fields.get("enabled", "yes").lower() in _NO:
            continue
        if "deb" in fields.get("types", "").split():
            suites, components = fields.get("suites", ""), fields.get("components", "")
            for uri in fields.get("uris", "").split():
                yield from _debian_source(uri, suites.split(), components.split(), fields)


def _debian_source(
    uri: str, suites: Sequence[str], components: Sequence[str], options: Mapping[str, str]
) -> Iterator[_Source]:
    if "main" in components and all(_SUITE.fullmatch(suite) for suite in suites):
        trust = ("signed-by", "trusted", "check-valid-until", "check-date")
        kept = {name: options[name] for name in trust if name in options}
        yield _Source(uri, tuple(suites), kept)


# apt.


class _Apt:
    """apt with a root of its own."""

    def __init__(self, root: Path, configuration: Path, say: Say) -> None:
        self._root = root
        self._options = ["-c", str(configuration)]
        self._say = say

    def update(self) -> None:
        """Read the package lists."""
        self._apt_get("update")

    def download(self, packages: Sequence[str]) -> list[Path]:
        """Get these packages alone."""
        self._say(f"downloading {' '.join(packages)}")
        self._apt_get("download", *packages)
        return sorted(self._root.glob("*.deb"))

    def download_all(self, packages: Sequence[str], suite: str) -> list[Path]:
        """Get these packages and everything they need; ``suite`` is the preferred one."""
        self._say(f"downloading {' '.join(packages)} and what they need")
        self._apt_get(
            "install", "--yes", "--download-only", "--no-install-recommends", "-t", suite, *packages
        )
        return sorted((self._root / "cache" / "archives").glob("*.deb"))

    def _apt_get(self, *words: str) -> None:
        _run(["apt-get", *self._options, "--quiet", *words], folder=self._root)


@contextmanager
def _private_apt(suites: Sequence[str], architecture: str, say: Say) -> Iterator[_Apt]:
    """apt for these suites and this architecture, with its package lists read."""
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise InputError("this machine has no apt; give the hypervisor's image with --hypervisor")
    sources = _machine_sources()
    stanzas = {}
    for suite in suites:
        source = _source_for(suite, sources)
        if source is not None:
            stanzas[suite] = source.stanza(suite, architecture)
        elif not _is_optional(suite):
            raise InputError(f"apt's sources on this machine have no Debian mirror for {suite}")
    with tempfile.TemporaryDirectory(prefix="apt-", dir=content.cache_folder()) as name:
        root = Path(name)
        for folder in ("state/lists/partial", "cache/archives/partial"):
            (root / folder).mkdir(parents=True)
        (root / "status").touch()
        (root / "apt.conf").write_text(_configuration(root, architecture))
        apt = _Apt(root, root / "apt.conf", say)
        try:
            _read_lists(apt, root, stanzas, architecture, say)
        except InputError as error:
            needed = {suite: text for suite, text in stanzas.items() if not _is_optional(suite)}
            if len(needed) == len(stanzas):
                raise
            say(f"{error}; going on without security updates")
            _read_lists(apt, root, needed, architecture, say)
        yield apt


def _is_optional(suite: str) -> bool:
    """Security updates: a mirror may lack them, or have them half."""
    return suite.endswith("-security")


def _read_lists(
    apt: _Apt, root: Path, stanzas: Mapping[str, str], architecture: str, say: Say
) -> None:
    (root / "xenport.sources").write_text("\n".join(stanzas.values()))
    say(f"reading the package lists of {', '.join(stanzas)} for {architecture}")
    apt.update()


def _configuration(root: Path, architecture: str) -> str:
    """Settings that apt reads after the machine's own."""
    return f"""\
APT::Architecture "{architecture}";
#clear APT::Architectures;
APT::Architectures {{ "{architecture}"; }};
APT::Sandbox::User "root";
APT::Update::Error-Mode "any";
Acquire::Languages "none";
Acquire::Retries "2";
Dir::State "{root}/state";
Dir::State::status "{root}/status";
Dir::Cache "{root}/cache";
Dir::Etc::sourcelist "{root}/xenport.sources";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Post-Invoke;
#clear DPkg::Pre-Install-Pkgs;
"""


def _run(command: Sequence[str], folder: Path | None = None) -> str:
    """The standard output of ``command``. Its failure becomes an `InputError` with its reason."""
    shown = f"{command[0]} {command[-1]}"
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PATIENCE,
            check=False,
        )
    except FileNotFoundError:
        raise InputError(f"{command[0]} is not on this machine") from None
    except subprocess.TimeoutExpired:
        raise InputError(f"{shown}: no end within {_PATIENCE} s") from None
    if done.returncode != 0:
        reasons = re.findall(r"^E: (.*)$", done.stderr, re.MULTILINE)
        raise InputError(f"{shown}: {reasons[0] if reasons else done.stderr.strip()[-200:]}")
    return done.stdout


# Packages.


def _unpack(package: Path, wanted: Callable[[str], bool], folder: Path) -> None:
    """Unpack the files of ``package`` that are ``wanted``, without owners and special bits."""
    command = ["dpkg-deb", "--fsys-tarfile", str(package)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        try:
            with tarfile.open(fileobj=process.stdout, mode="r|") as archive:
                # Python 3.11 before 3.11.4 has no filters and does what they do not forbid.
                archive.extraction_filter = getattr(tarfile, "data_filter", None)
                for member in archive:
                    if not member.isdir() and wanted(member.name.removeprefix("./")):
                        member.mode &= 0o777
                        archive.extract(member, folder)
        except tarfile.TarError as error:
            raise InputError(f"cannot unpack: {error}", package.name) from None


@contextmanager
def _new_folder(path: Path) -> Iterator[Path]:
    """A folder that appears as ``path`` when the block ends well, and never otherwise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{path.name}.", dir=path.parent) as name:
        folder = Path(name) / "new"
        folder.mkdir()
        yield folder
        try:
            folder.rename(path)
        except OSError:  # somebody else was faster
            if not path.is_dir():
                raise
