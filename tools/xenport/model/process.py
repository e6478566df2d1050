"""A boot of the model as a process: ``python -m xenport.model.process``.

Standard input holds one JSON object:

    {"architecture": "x86_64",      name of the architecture
     "release": "4.17",
     "guest": "pv",                 kind of guest: pv, hvm, arm, ppc
     "control": true,               whether the domain is domain 0, the control domain; else domain 1
     "image": "/path",              what the domain builder loads (Kernel.image())
     "command_line": "tests=1-9"}

Standard output gets the console's bytes, unbuffered, and nothing else. File descriptor 3, if open,
gets one line at the end, ``{"end": kind, "detail": text}``: kind is poweroff, reboot, crash, suspend,
watchdog, soft_reset or unknown (how the domain ended), hang (every vcpu waits for what cannot happen),
or error (the model itself failed, or the image is bad; the detail says how). Diagnostics of
the model go to standard error. The exit status is 0 unless the end is ``error``.
"""
