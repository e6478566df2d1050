"""Xen's guest ABI: the description in YAML as typed objects.

abi = xenport.abi.load(arch="arm64", release="4.17")
abi.constant("EVTCHNOP_send"), abi.errno("EINVAL"), abi.sizeof("shared_info")
abi.view("evtchn_send", buffer).port = 3
"""

from xenport.abi.calls import Argument, CallArgument, Command, Error, Hypercall
from xenport.abi.constants import Constant
from xenport.abi.core import Abi, Header
from xenport.abi.layout import Field, Layout
from xenport.abi.load import Description, load, load_description, load_for_model
from xenport.abi.view import ArrayView, View

__all__ = [
    "Abi",
    "Argument",
    "ArrayView",
    "CallArgument",
    "Command",
    "Constant",
    "Description",
    "Error",
    "Field",
    "Header",
    "Hypercall",
    "Layout",
    "View",
    "load",
    "load_description",
    "load_for_model",
]
