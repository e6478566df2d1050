"""The reference model: Xen's guest ABI as a small deterministic hypervisor on Unicorn CPUs."""
