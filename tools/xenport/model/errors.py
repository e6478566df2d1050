"""How the model's own code says that something did not work."""


class XenError(Exception):
    """A hypercall's failure: ``raise XenError("EINVAL")`` makes it return ``-XEN_EINVAL``."""

    def __init__(self, errno: str) -> None:
        super().__init__(errno)
        self.errno = errno


class GrantError(Exception):
    """The status of one request of grant_table_op: ``GrantError("bad_page")`` is GNTST_bad_page."""

    def __init__(self, status: str) -> None:
        super().__init__(status)
        self.status = status


class ModelError(Exception):
    """A mistake of the model itself, never of the guest; ends the run."""


class NeedsGuest(Exception):
    """What was asked takes a guest that runs, and there is none; the message says what of it."""
