"""Ports under test: their descriptions, and the drivers that start them.

    port = load("xen-4.17-amd64")           # or load("my-port.yaml")
    driver = open(port)
    with driver.boot("pv64-dom0", kernel, "tests=0-3", log, Limits()) as boot: ...

`session` says what a boot looks like from the outside.
"""

from xenport.port.session import Boot, Bootable, Driver, Ended, Event, Limits, Line

__all__ = ["Boot", "Bootable", "Driver", "Ended", "Event", "Limits", "Line"]
