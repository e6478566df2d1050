"""The types that the macros of ``io/ring.h`` make for a protocol.

A ring of requests and responses is one page shared by a frontend and a backend, and a private view
of it for each; a pair of byte rings is a page of indexes with the data elsewhere.
"""

import functools
from typing import Any, Literal, NamedTuple

from xenport.abi.schema import ByteRingSpec, RingSpec, StructSpec


class Made(NamedTuple):
    """A structure or union that a macro makes."""

    name: str
    kind: Literal["struct", "union"]
    spec: StructSpec


@functools.cache
def types_of_ring(name: str, request: str, response: str) -> tuple[Made, ...]:
    """What ``DEFINE_RING_TYPES(name, request, response)`` makes."""
    entry = f"{name}_sring_entry"
    private = {"name": "sring", "type": "pointer"}
    return (
        _made(entry, "union", [_field("req", request), _field("rsp", response)], typedef=False),
        _made(
            f"{name}_sring",
            "struct",
            [
                *(_field(field, "RING_IDX") for field in ("req_prod", "req_event")),
                *(_field(field, "RING_IDX") for field in ("rsp_prod", "rsp_event")),
                {
                    "name": "pvt",
                    "union": [
                        {"name": "netif", "struct": [_field("smartpoll_active", "uint8")]},
                        {"name": "tapif_user", "struct": [_field("msg", "uint8")]},
                        _field("pvt_pad", "uint8[4]"),
                    ],
                },
                _field("__pad", "uint8[44]"),
                {**_field("ring", f"{entry}[1]"), "until": "4.18"},
                {**_field("ring", f"{entry}[]"), "since": "4.19"},
            ],
        ),
        *(
            _made(
                f"{name}_{side}_ring",
                "struct",
                [*(_field(field, "RING_IDX") for field in own), _field("nr_ents", "uint"), private],
                helper=True,
            )
            for side, own in (
                ("front", ("req_prod_pvt", "rsp_cons")),
                ("back", ("rsp_prod_pvt", "req_cons")),
            )
        ),
    )


@functools.cache
def types_of_byte_ring(name: str, interface: bool) -> tuple[Made, ...]:
    """What ``DEFINE_XEN_FLEX_RING(name)`` makes, and for ``interface`` its page of indexes."""
    data = _made(
        f"{name}_data",
        "struct",
        [_field("in", "pointer"), _field("out", "pointer")],
        typedef=False,
        helper=True,
    )
    if not interface:
        return (data,)
    page = _made(
        f"{name}_data_intf",
        "struct",
        [
            *(_field(field, "RING_IDX") for field in ("in_cons", "in_prod")),
            _field("pad1", "uint8[56]"),
            *(_field(field, "RING_IDX") for field in ("out_cons", "out_prod")),
            _field("pad2", "uint8[56]"),
            _field("ring_order", "RING_IDX"),
            _field("ref", "grant_ref_t[]"),
        ],
        typedef=False,
    )
    return (page, data)


def types_of(name: str, spec: RingSpec | ByteRingSpec) -> tuple[Made, ...]:
    """What the macro for ``spec`` makes."""
    if isinstance(spec, RingSpec):
        return types_of_ring(name, spec.request, spec.response)
    return types_of_byte_ring(name, spec.interface)


def _field(name: str, type_text: str) -> dict[str, Any]:
    return {"name": name, "type": type_text}


def _made(
    name: str, kind: Literal["struct", "union"], fields: list[dict[str, Any]], **keys: Any
) -> Made:
    return Made(name, kind, StructSpec.model_validate({"fields": fields, **keys}))
