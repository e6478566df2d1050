"""A port under test: ``conformance/ports/NAME.yaml``, or a file of the user's."""

import functools
import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, PrivateAttr

from xenport import architecture, content
from xenport.architecture import Architecture, Machine
from xenport.errors import InputError
from xenport.yamlsource import Document, Strict, suggestion


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from None
    return text


Pattern = Annotated[str, AfterValidator(_pattern)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$")]


class DebianImage(Strict):
    """A hypervisor in a package of Debian."""

    suite: Name  # its release; the suite's security updates are looked at too
    package: Name
    architecture: Name  # Debian's name, "amd64"
    image: str  # path in the package


class Hypervisor(Strict):
    """Where the hypervisor's image comes from; one of the two."""

    debian: DebianImage | None = None
    file: str | None = None  # relative to the port's file


class End(Strict):
    """How one kind of end shows from outside: all that is given must be seen, in any order.

    ``hypervisor`` and ``supervisor`` are searched in the last two lines of that writer, joined by
    a newline; a group named ``detail`` becomes the detail of the end. ``event`` is an event of
    QEMU's and its reason, ``SHUTDOWN guest-reset``, or its exit status, ``EXIT 0``.
    """

    kind: Literal["poweroff", "reboot", "crash", "watchdog", "soft_reset"]
    hypervisor: Pattern | None = None
    supervisor: Pattern | None = None
    event: str | None = None


class Domain(Strict):
    """A domain under test that is not dom0: dom0 runs the same kernel, and watches it.

    The hypervisor builds it at boot, unless dom0 is to ``build`` it.
    """

    console: str  # what stands in front of its lines
    supervisor: str  # the command line of dom0
    build: Name | None = None  # the kind of domain that dom0 builds: pv, pvh, hvm
    properties: dict[str, int | list[int] | str | bool] = {}  # of its device-tree node, if any


class Modelled(Strict):
    """What is particular about the domain under test on the reference model: other hypervisors hear
    of it in words of their own."""

    vcpus: Annotated[int, Field(gt=0)] = 2
    platform: Name | None = None  # what it finds around its processor: "gicv2", "pc"


class Environment(Strict):
    """A kind of guest that a port offers."""

    doc: str
    like: Name | None = None  # an environment above: what is not given here is as there
    guest: Name | Literal[""] = ""  # kind of caller: one of the architecture's `guests`
    architecture: Name | None = None  # of what is under test, where it is not that of the port
    provides: list[Name] = []  # words that tests may need; those for what is lacking are added
    lacks: list[Name] = []  # what its machine has not, in addition to the port's
    tests: list[str] = []  # names, or patterns with * and ?, of those that are run; none: all
    machine: Name | None = None  # one of the architecture's `machines`
    machine_args: list[str] = []  # QEMU's options after the machine's own
    hypervisor_args: list[str] = []  # after the port's own
    kernel_args: list[str] = []  # words of the command line of what is under test
    shows: Pattern | None = None  # what a line of the hypervisor has before a kernel starts
    domain: Domain | None = None
    model: Modelled = Modelled()
    peer: int | None = None  # number of a domain beside that under test, which serves it
    ends: list[End] = []  # looked at before the port's own

    @property
    def words(self) -> frozenset[str]:
        """What a test's ``needs`` may ask for: the kind of guest and all that is provided."""
        return frozenset([self.guest, *self.provides, *(["peer"] if self.peer is not None else [])])

    def command_line(self, tests: str) -> str:
        """The command line of the domain under test that runs ``tests``."""
        peer = [] if self.peer is None else [f"peer={self.peer}"]
        return " ".join([tests, *peer, *self.kernel_args])


class Outlook(Strict):
    """What the sources of a port's hypervisor have for a rung of the ladder, and what they lack."""

    has: str
    lacks: str


class KnownFailure(Strict):
    """A test that is expected to fail."""

    test: str
    environments: list[str] = []  # none: all
    reason: str


class Port(Strict):
    """A port under test."""

    name: Name
    # A port of xenport's that has every key that is not given here; environments are added.
    like: Name | None = None
    # hosted: the model behind a real machine. bare: a hypervisor under QEMU that runs no guests.
    kind: Literal["model", "hosted", "qemu", "bare"]
    doc: str
    architecture: Name
    release: str
    hypervisor: Hypervisor | None = None
    console: str = ""  # what the hypervisor puts in front of its own lines
    hypervisor_args: list[str] = []
    ends: list[End] = []
    lacks: list[Name] = []  # what `xen` of a condition in abi/ has not: `flask` provides `no-flask`
    environments: dict[Name, Environment]
    known_failures: list[KnownFailure] = []
    outlook: dict[Name, Outlook] = {}  # by rung
    same_as: Name | None = None  # a port whose verdicts must be the same; runs compare them
    _path: Path = PrivateAttr()

    @property
    def path(self) -> Path:
        """The file that the port was read from."""
        return self._path

    @property
    def is_model(self) -> bool:
        """The hypervisor is the reference model, whatever runs its guests."""
        return self.kind in ("model", "hosted")

    @property
    def is_bare(self) -> bool:
        """The hypervisor is alone: there are no kernels and no tests in them."""
        return self.kind == "bare"

    @property
    def arch(self) -> Architecture:
        """The description of the port's architecture at its release."""
        return _arch(self.architecture, self.release)

    def machine(self, environment: Environment) -> Machine:
        """The machine that an environment runs on; for ports under QEMU."""
        assert environment.machine is not None  # checked when the description was read
        machine = self.arch.machines[environment.machine]
        return machine.model_copy(update={"args": [*machine.args, *environment.machine_args]})

    def guest_arch(self, environment: Environment) -> Architecture:
        """The architecture of what is under test."""
        return _arch(environment.architecture or self.architecture, self.release)

    def environment(self, name: str) -> Environment:
        """The environment ``name``. Raises ``InputError`` if the port has none of that name."""
        if name not in self.environments:
            known = suggestion(name, self.environments)
            raise InputError(f"port {self.name} has no environment '{name}'{known}")
        return self.environments[name]

    def known_failure(self, environment: str, test: str) -> str | None:
        """The reason why ``test`` is expected to fail in ``environment``, if it is."""
        for known in self.known_failures:
            if known.test == test and (not known.environments or environment in known.environments):
                return known.reason
        return None


def names() -> tuple[str, ...]:
    """The names of all ports that come with xenport, sorted."""
    return tuple(sorted(path.stem for path in _folder().glob("*.yaml")))


def load(name: str | Path, release: str | None = None) -> Port:
    """The port ``name``, or the one described in a file: whatever has a ``/`` or ends in ``.yaml``.

    ``release`` replaces the release whose ABI the port is tested against. Raises ``InputError`` for
    an unknown name, for every mistake in the file, and for a release that is not described.
    """
    text = str(name)
    if "/" in text or text.endswith(".yaml"):
        port = _read(Path(text))
    elif text in names():
        port = _read(_folder() / f"{text}.yaml")
    else:
        raise InputError(f"unknown port '{text}'{suggestion(text, names())}")
    if release is None:
        return port
    for arch in (port.arch, *map(port.guest_arch, port.environments.values())):
        if release not in arch.releases:
            raise InputError(_undescribed(arch, release))
    return port.model_copy(update={"release": release})


def _folder() -> Path:
    return content.folder("conformance") / "ports"


@functools.cache
def _read(path: Path) -> Port:
    document = Document(path)
    _inherit(document)
    port = _complete(document, document.parse(Port))
    port._path = path
    if path.parent == _folder() and port.name != path.stem:
        raise document.error(f"expected {path.stem}, the name of the file", "name")
    _check(document, port)
    return port


def _inherit(document: Document) -> None:
    """Takes the keys that are not given from the port that this one is said to be like."""
    if not isinstance(document.data, dict) or "like" not in document.data:
        return
    if "name" not in document.data:
        raise document.error("the key 'name' is missing")
    other = document.data["like"]
    if other not in names():
        raise document.error(f"no such port{suggestion(str(other), names())}", "like")
    if load(other).like is not None:
        raise document.error(f"{other} is itself like another port; name that one", "like")
    base = Document(_folder() / f"{other}.yaml").data
    own = document.data.get("environments")
    if isinstance(own, dict):
        document.data["environments"] = base["environments"] | own
    document.data = base | document.data


def _complete(document: Document, port: Port) -> Port:
    """The port, with every environment whole that is `like` another one."""
    whole: dict[str, Environment] = {}
    for name, environment in port.environments.items():
        where = ("environments", name)
        if environment.like is not None:
            base = whole.get(environment.like)
            if base is None:
                known = suggestion(environment.like, whole)
                raise document.error(
                    f"no environment '{environment.like}' above this one{known}", *where, "like"
                )
            own = {key: getattr(environment, key) for key in environment.model_fields_set}
            environment = base.model_copy(update=own)
        whole[name] = environment
        if not whole[name].guest and not port.is_bare:
            raise document.error("the key 'guest' is missing", *where)
    for name, environment in whole.items():
        missing = dict.fromkeys(f"no-{feature}" for feature in (*port.lacks, *environment.lacks))
        whole[name] = environment.model_copy(update={"provides": [*environment.provides, *missing]})
    return port.model_copy(update={"environments": whole})


def _check(document: Document, port: Port) -> None:
    """Everything that concerns more than one key."""
    if port.architecture not in architecture.names():
        known = suggestion(port.architecture, architecture.names())
        raise document.error(f"unknown architecture '{port.architecture}'{known}", "architecture")
    _check_release(document, port, port.arch, "release")
    if not port.environments:
        raise document.error("expected at least one environment", "environments")
    _check_hypervisor(document, port)
    if port.same_as is not None and port.same_as not in names():
        known = suggestion(port.same_as, names())
        raise document.error(f"unknown port '{port.same_as}'{known}", "same_as")
    for name, environment in port.environments.items():
        where = ("environments", name)
        guest_arch = _check_architecture(document, port, environment, where)
        if port.is_bare:
            for key in ("guest", "domain", "peer"):
                if getattr(environment, key):
                    raise document.error("a bare hypervisor has no guests", *where, key, key=True)
        elif environment.guest not in (guests := _guests(port, guest_arch)):
            known = suggestion(environment.guest, guests)
            raise document.error(f"{guest_arch.name} has no such guest{known}", *where, "guest")
        _check_machine(document, port, environment, where)
        for index, end in enumerate(environment.ends):
            _check_end(document, end, *where, "ends", index)
    for index, end in enumerate(port.ends):
        _check_end(document, end, "ends", index)
    for index, known_failure in enumerate(port.known_failures):
        for number, name in enumerate(known_failure.environments):
            if name not in port.environments:
                raise document.error(
                    f"no environment '{name}'{suggestion(name, port.environments)}",
                    *("known_failures", index, "environments", number),
                )


def _arch(name: str, release: str) -> Architecture:
    """An architecture at a release; as it was at first where the release is not described."""
    arch = architecture.load(name)
    return arch.at(release) if release in arch.releases else arch


def _guests(port: Port, arch: Architecture) -> list[str]:
    """The kinds of guest that there are."""
    return [*arch.guests, *(arch.model_guests if port.is_model else [])]


def _check_release(document: Document, port: Port, arch: Architecture, *where: str) -> None:
    if port.release not in arch.releases:
        raise document.error(_undescribed(arch, port.release), *where)


def _undescribed(arch: Architecture, release: str) -> str:
    known = ", ".join(arch.releases)
    return f"{arch.name} is not described for release {release}; there are: {known}"


def _check_architecture(
    document: Document, port: Port, environment: Environment, where: tuple[str, str]
) -> Architecture:
    """The architecture of an environment."""
    name = environment.architecture
    if name is None:
        return port.arch
    here = (*where, "architecture")
    if name not in architecture.names():
        known = suggestion(name, architecture.names())
        raise document.error(f"unknown architecture '{name}'{known}", *here)
    _check_release(document, port, architecture.load(name), *here)
    return architecture.load(name)


def _check_hypervisor(document: Document, port: Port) -> None:
    if port.is_model:
        if port.hypervisor is not None:
            raise document.error("a model has no hypervisor image", "hypervisor", key=True)
        if port.kind == "hosted" and port.arch.hosted is None:
            raise document.error(f"{port.architecture} has no machine to host a model", "kind")
    elif port.hypervisor is None:
        if not port.is_bare:  # else it is a person's own build
            raise document.error("the key 'hypervisor' is missing")
    elif (port.hypervisor.debian is None) == (port.hypervisor.file is None):
        raise document.error("expected one of: debian, file", "hypervisor")


def _check_machine(
    document: Document, port: Port, environment: Environment, where: tuple[str, str]
) -> None:
    if port.kind != "model" and "model" in environment.model_fields_set:
        raise document.error("this is no model", *where, "model", key=True)
    if port.is_model:
        for key in ("machine", "domain"):
            if getattr(environment, key) is not None:
                raise document.error(f"a model has no {key}", *where, key, key=True)
    elif environment.machine is None:
        raise document.error("the key 'machine' is missing", *where)
    elif environment.machine not in port.arch.machines:
        known = suggestion(environment.machine, port.arch.machines)
        raise document.error(
            f"{port.architecture} has no machine '{environment.machine}'{known}", *where, "machine"
        )
    elif port.arch.machines[environment.machine].boot == "firmware":
        raise document.error("this machine only hosts the model", *where, "machine")
    elif port.is_bare != (port.arch.machines[environment.machine].boot == "kernel"):
        kind = "has no guests" if not port.is_bare else "starts no hypervisor alone"
        raise document.error(f"this machine {kind}", *where, "machine")


def _check_end(document: Document, end: End, *where: str | int) -> None:
    if end.hypervisor is None and end.supervisor is None and end.event is None:
        raise document.error("expected at least one of: hypervisor, supervisor, event", *where)
