"""memory_op for tool stacks: pages that Xen has made for another domain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xenport.abi.releases import rank
from xenport.model.errors import XenError
from xenport.model.frames import MACHINE_SHIFT, TranslatedFrames
from xenport.model.handlers import Handlers
from xenport.model.memory import PAGE_SIZE, Page, Window

if TYPE_CHECKING:
    from xenport.model.call import Call
    from xenport.model.device_model import Server
    from xenport.model.domain import Domain

handlers = Handlers()
command = handlers.command
handlers.refuse_declared("XENMEM_acquire_resource")

_MOST_AT_ONCE = 32  #: up to 4.14
_STATUS_BYTES = 512  #: of a page of grants of version 2
_XENS_OWN = 1 << MACHINE_SHIFT - 1  #: the first of a domain's frame numbers that are no memory's


@command("XENMEM_acquire_resource")
def acquire_resource(call: Call) -> None:
    """Map pages of another domain's resource, or tell how many there are."""
    view = call.view
    abi = call.domain.abi
    is_old = rank(abi.release) < rank("4.15")
    if not view.frame_list and is_old:
        view.nr_frames = _MOST_AT_ONCE
        return
    if not is_old and (view.frame >> 32 or view.frame + view.nr_frames >> 32):
        raise XenError("EINVAL")
    owner = call.hypervisor.domain_by_id(call.vcpu, view.domid)
    if owner is call.domain:
        raise XenError("EPERM")
    pages = _resource(call, owner)
    if not view.frame_list:
        view.nr_frames = pages.most
        return
    if is_old and not call.domain.cpu_class.maps_resources_early:
        raise XenError("EOPNOTSUPP")
    found = [pages.page(view.frame + index) for index in range(view.nr_frames)]
    for index, (number, page) in enumerate(found):
        if isinstance(call.domain.frames, TranslatedFrames):
            frame = call.vcpu.read_word("xen_pfn_t", view.frame_list, index)
            call.domain.frames.map_window(frame, Window(page.data, page.address, False))
        else:
            machine_frame = owner.id + 1 << MACHINE_SHIFT | _XENS_OWN | number
            call.vcpu.write_word("xen_pfn_t", machine_frame, view.frame_list, index)


class _Grants:
    """The grant table of a domain, or its status pages."""

    def __init__(self, owner: Domain, *, status: bool) -> None:
        self._table = owner.grants
        self._status = status
        most = owner.grants.size.most
        self.most = -(-most * _STATUS_BYTES // PAGE_SIZE) if status else most

    def page(self, index: int) -> tuple[int, Page]:
        """A page and its number among those of Xen's own. XenError EINVAL: there is none."""
        if not self._status:
            return index, self._table.page(index)
        if self._table.version != 2 or index >= len(self._table.status_pages):
            raise XenError("EINVAL")
        return self._table.size.most + index, self._table.status_pages[index]


class _Server:
    """The pages of an ioreq server."""

    most = 2

    def __init__(self, server: Server, number: int) -> None:
        self._server = server
        self._number = number

    def page(self, index: int) -> tuple[int, Page]:
        """See _Grants. XenError EPERM: they are in the guest; ENOENT: there is no buffer."""
        server = self._server
        if server.frames:
            raise XenError("EPERM")
        if not server.taken:
            server.taken = [Page(), Page()]
        if index == 0 and not server.is_buffered:
            raise XenError("ENOENT")
        if index >= self.most:
            raise XenError("EINVAL")
        return _XENS_OWN // 2 + self.most * self._number + index, server.taken[index]


def _resource(call: Call, owner: Domain) -> Any:
    view = call.view
    abi = call.domain.abi
    if view.type == abi.constant("XENMEM_resource_grant_table"):
        shared = abi.constant("XENMEM_resource_grant_table_id_shared")
        status = abi.constant("XENMEM_resource_grant_table_id_status")
        if view.id not in (shared, status):
            raise XenError("EINVAL")
        if view.id == status and owner.cpu_class.max_grant_version < 2:
            raise XenError("EINVAL")
        return _Grants(owner, status=view.id == status)
    if view.type != abi.constant("XENMEM_resource_ioreq_server"):
        raise XenError("EOPNOTSUPP" if rank(abi.release) < rank("4.18") else "EINVAL")
    if not owner.cpu_class.has_device_models:
        raise XenError("EINVAL")
    server = owner.settings.devices.servers.get(view.id)
    if server is None:
        raise XenError("ENOENT")
    if server.emulator is not call.domain:
        raise XenError("EPERM")
    return _Server(server, view.id)
