"""Tests made of the errors that abi/ declares.

An error with conditions becomes a call for which they hold and those of earlier errors do not, and
that has to return its errno. Errors that cannot be provoked so are listed with the reason.

plan = xenport.negatives.plan(abi)
plan.cases       # the calls
plan.refused     # the errors without one, and why
xenport.negatives.source(plan)    # C for the test kernel
"""

from xenport.negatives.cases import Case, Refused, Situation
from xenport.negatives.planning import Plan, plan, why_always
from xenport.negatives.source import source

__all__ = ["Case", "Plan", "Refused", "Situation", "plan", "source", "why_always"]
