"""The model behind a real machine: the guest runs in QEMU, its hypervisor calls end here.

A shim (``arch/FAMILY/shim/``) boots as the machine's firmware in hypervisor state and enters guests
below it. Whatever takes the processor away from a guest is put into a mailbox in the machine's
memory, which this process shares, and answered by the model.

    ram         the machine's memory, and how buffers of the model become part of it
    mailbox     what the shim and the model say to each other
    machine     runs guests through the mailbox
    clock       real time, as the machine's counter has it
    cpu         the processor of a vcpu, for any architecture whose adapter says what guests do
"""
