"""What compiled C says about the ABI: read from a tree of headers, or from any ELF with DWARF."""

from xenport.abi.facts.dwarf import read_elf
from xenport.abi.facts.model import Aggregate, Constant, Enumeration, Facts, Member, Type
from xenport.abi.facts.tree import read_tree

__all__ = [
    "Aggregate",
    "Constant",
    "Enumeration",
    "Facts",
    "Member",
    "Type",
    "read_elf",
    "read_tree",
]
