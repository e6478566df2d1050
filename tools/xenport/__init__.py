"""xenport: conformance suite and ABI toolkit for ports of Xen's guest ABI."""

__version__ = "0.1.0"
