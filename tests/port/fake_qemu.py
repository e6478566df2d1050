"""Stands in for QEMU: speaks its machine protocol, then behaves as ``$FAKE_QEMU`` says."""

import contextlib
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path


def say(*lines):
    for line in lines:
        os.write(1, line.encode() + b"\n")


def for_ever():
    while True:
        time.sleep(60)


def control():
    descriptor = int(re.search(r"id=control,fd=(\d+)", " ".join(sys.argv))[1])
    return socket.socket(fileno=descriptor)


class Monitor:
    """The machine protocol, as far as it is needed."""

    def __init__(self):
        self.socket = control()
        self.received = ""
        version = {"qemu": {"major": 0, "minor": 0, "micro": 0}, "package": ""}
        self.send({"QMP": {"version": version, "capabilities": []}})
        for _ in ("qmp_capabilities", "cont"):
            self.answer()

    def send(self, message):
        self.socket.sendall(json.dumps(message).encode() + b"\r\n")

    def answer(self):
        while True:
            try:
                command, end = json.JSONDecoder().raw_decode(self.received)
                break
            except ValueError:  # there is no line end behind a command
                data = self.socket.recv(1 << 16)
                if not data:
                    raise SystemExit(0) from None
                self.received += data.decode()
        self.received = self.received[end:].lstrip()
        self.send({"return": {}} | {key: command[key] for key in command if key == "id"})
        return command["execute"]

    def has_order(self, seconds):
        """Whether one comes within so long."""
        return bool(select.select([self.socket], [], [], seconds)[0])

    def event(self, name, **data):
        stamp = {"seconds": 0, "microseconds": 0}
        self.send({"event": name, "timestamp": stamp, "data": data})

    def until_quit(self):
        while self.answer() != "quit":
            pass
        raise SystemExit(0)


def behave(what):
    if what == "exits":
        sys.stderr.write("qemu: no such machine\nmore\n")
        raise SystemExit(1)
    if what == "mute":
        for_ever()
    if what == "hangs up":
        control().close()
        for_ever()
    if what == "babbles":
        connection = control()
        with contextlib.suppress(OSError):
            while True:
                connection.sendall(b"babble" * 10000)
        for_ever()
    monitor = Monitor()
    say("(XEN) Xen version 4.17", "hello from dom0", f"# pid {os.getpid()}")
    match what:
        case "silent":
            pass
        case "options":
            say(json.dumps(sys.argv[1:]))
            for path in re.findall(r"/proc/self/fd/\d+", " ".join(sys.argv)):
                say(f"{path} {Path(path).read_bytes().hex()}")
            say("(XEN) Dom0 halted")
        case "quits":
            raise SystemExit(0)
        case "floods":
            while True:
                os.write(1, os.urandom(1 << 16).replace(b"\n", b" "))
        case "prints for ever":
            while True:
                say("line")
                time.sleep(0.01)
        case "stubborn":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            for_ever()
        case "has a child":
            subprocess.Popen(["sleep", "1000"], stdin=subprocess.DEVNULL)
            raise SystemExit(0)
        case "closes its console":
            os.close(1)
        case "powers off":
            say("(XEN) Dom0 halted: halting machine")
        case "resets":
            say("(XEN) Dom0 shutdown: rebooting machine", "last words")
            monitor.event("SHUTDOWN", guest=True, reason="guest-reset")
            raise SystemExit(0)
        case "resets, but stays":
            monitor.event("SHUTDOWN", guest=True, reason="guest-reset")
            say("(XEN) Dom0 shutdown: rebooting machine")
        case "sleeps":
            monitor.event("SUSPEND")
            say(f"woken by {monitor.answer()}")
            monitor.event("WAKEUP")
            say("(XEN) Dom0 shutdown: rebooting machine")
            monitor.event("SHUTDOWN", guest=True, reason="guest-reset")
            raise SystemExit(0)
        case "starts again":
            say("-no-reboot" if "-no-reboot" in sys.argv else "may reset")
            time.sleep(0.3)
            say("last words")
            time.sleep(0.003)  # these are read; the next ones are not yet
            say("(XEN) Dom0 shutdown: rebooting machine")
            monitor.event("RESET", guest=True, reason="guest-reset")
            # A machine takes longer to say anything, and its firmware may reset it once more.
            say("told too early" if monitor.has_order(0.5) else "left alone")
            say("(XEN) Xen version 4.17")
            say(f"told {monitor.answer()}")
            monitor.event("SHUTDOWN", guest=True, reason="guest-reset")
            raise SystemExit(0)
        case "says it resets":
            say("(XEN) Dom0 shutdown: rebooting machine")
        case "shuts down":
            monitor.event("SHUTDOWN", guest=True, reason="guest-shutdown")
            raise SystemExit(0)
        case "builds domains":
            say("(d1) one", "gone: poweroff", "(d1) two", "gone: crash", "(d1) three")
            say("gone: poweroff", "(d1) four")
        case "panics":
            say("(XEN) Panic on CPU 0:", "(XEN) Out of luck", "(XEN) ****")
    monitor.until_quit()


behave(os.environ["FAKE_QEMU"])
