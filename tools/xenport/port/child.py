"""A child process that cannot outlive its parent or its use."""

import contextlib
import ctypes
import fcntl
import os
import select
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Self

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


class Child:
    """A process in a session of its own, with stdout and stderr on pipes that do not block.

    The kernel kills it when the thread that started it ends, however that happens, so it has to be
    used in the thread that began it. Nothing reaps the process before `kill` does: until then its
    process id, and the id of its group, cannot belong to anybody else.
    """

    def __init__(self, name: str, pid: int, stdout: int, stderr: int) -> None:
        """Take over the running process ``pid`` and the ends of its pipes; see `spawn`, `fork`."""
        self.name = name
        self.stdout = stdout
        self.stderr = stderr
        self.pidfd = os.pidfd_open(pid)
        """Becomes readable when the process ends."""
        self._pid = pid
        self._reaped = False
        os.set_blocking(stdout, False)
        os.set_blocking(stderr, False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()

    def status(self) -> int | None:
        """The exit status, negative for the number of a signal; ``None`` while it runs."""
        result = os.waitid(os.P_PIDFD, self.pidfd, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if result is None:
            return None
        return result.si_status if result.si_code == os.CLD_EXITED else -result.si_status

    def wait(self, seconds: float) -> bool:
        """Wait for its end, at most ``seconds``; whether it came."""
        return bool(select.select([self.pidfd], [], [], seconds)[0])

    def terminate(self) -> None:
        """Ask it to end."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it and everything in its group now, and reap it. Can be called again."""
        if self._reaped:
            return
        self._signal(signal.SIGKILL)
        os.waitpid(self._pid, 0)
        self._reaped = True
        for descriptor in (self.pidfd, self.stdout, self.stderr):
            os.close(descriptor)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._pid, number)
        with contextlib.suppress(ProcessLookupError):  # before it has a group of its own
            signal.pidfd_send_signal(self.pidfd, number)


def spawn(
    command: Sequence[str],
    *,
    pass_fds: Sequence[int] = (),
    environment: Mapping[str, str] | None = None,
) -> Child:
    """Start ``command``; ``environment`` is added to our own. Raises ``OSError``."""
    parent = os.getpid()
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        pass_fds=pass_fds,
        env=with_own_environment(environment or {}),
        start_new_session=True,
        preexec_fn=lambda: _die_with(parent),
        bufsize=0,
    )
    assert process.stdout is not None and process.stderr is not None
    child = Child(
        Path(command[0]).name,
        process.pid,
        os.dup(process.stdout.fileno()),
        os.dup(process.stderr.fileno()),
    )
    process.stdout.close()
    process.stderr.close()
    process.returncode = 0  # it is the child's to reap, not subprocess's
    return child


def with_own_environment(more: Mapping[str, str]) -> dict[str, str]:
    """The environment of this process and ``more``, for a child.

    Boots have threads of their own, and while one looks at the variables pytest's thread takes its
    own away.
    """
    while True:
        with contextlib.suppress(KeyError):
            return {**os.environ, **more}


def fork(name: str, work: Callable[[], int], descriptors: Mapping[int, int]) -> Child:
    """Start a copy of this process that does ``work`` and exits with what it returns.

    All that is imported and loaded here is there already. ``descriptors`` maps numbers
    the copy has to ours; it has those, its stdout and stderr, and no others. It has no threads but
    the one that calls: a lock that another has at that moment (importing, working out a property
    that is kept) is never free in the copy.
    """
    out, err = os.pipe(), os.pipe()
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        _become(parent, work, {**descriptors, 1: out[1], 2: err[1]})
    os.close(out[1])
    os.close(err[1])
    return Child(name, pid, out[0], err[0])


def _become(parent: int, work: Callable[[], int], descriptors: Mapping[int, int]) -> NoReturn:
    """The life of the copy."""
    status = 1
    try:
        os.setsid()
        _die_with(parent)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        _rearrange(descriptors)
        sys.stdin = open(0, closefd=False)  # noqa: SIM115 - descriptors, for good
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115
        status = work()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(status)


def _rearrange(descriptors: Mapping[int, int]) -> None:
    """Give descriptors their numbers and close all others."""
    above = max(descriptors) + 1
    copies = {
        number: fcntl.fcntl(descriptor, fcntl.F_DUPFD, above)
        for number, descriptor in descriptors.items()
    }
    for number, copy in copies.items():
        os.dup2(copy, number)
    os.closerange(above, os.sysconf("SC_OPEN_MAX"))


def _die_with(parent: int) -> None:
    """Called in the child: it ends when the thread that started it does."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it ended before the call above
        os._exit(1)
