"""Test kernels: built from the C sources of ``conformance/`` and ``arch/``, and what they hold.

kernel = xenport.kernel.build(xenport.architecture.load("x86_64"), "4.17")
kernel.image()      # the file to boot
kernel.tests        # its catalogue
"""

from xenport.kernel.build import Kernel, build, build_with_data
from xenport.kernel.catalogue import RESET, Test, read_catalogue

__all__ = ["RESET", "Kernel", "Test", "build", "build_with_data", "read_catalogue"]
