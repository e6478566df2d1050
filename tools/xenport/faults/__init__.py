"""Faults that are put into the reference model, to see whether the conformance tests notice.

A suite is worth what it finds. Here the model is broken in many small ways, one at a time: a
command does nothing, returns another errno, reads another field, answers with another value. A
fault that no test notices is a test that is missing, or has a reason in
``conformance/faults.yaml``.

kinds.py      what can be wrong with a command, and which of it is worth trying
injection.py  the model with one fault
survey.py     which faults the tests notice
reasons.py    why some cannot be noticed
figures.py    the figures, by hypercall
"""
