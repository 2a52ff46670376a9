"""The engine: frozen states, one step, kernel generations as data. It depends on nothing.

Read in this order: state, fault, gup, fork, callers, kernels, step.
"""

from .callers import CALLERS
from .kernels import KERNELS, Kernel, kernel
from .state import FREED, PINNED, ZERO_PAGE, Frame, Mm, Proc, Pte, Ref, State, Vma, Why, replace
from .step import GRAMMAR, Action, Stepped, boot, step

__all__ = [
    "CALLERS", "FREED", "GRAMMAR", "KERNELS", "PINNED", "ZERO_PAGE", "Action", "Frame", "Kernel", "Mm", "Proc",
    "Pte", "Ref", "State", "Stepped", "Vma", "Why", "boot", "kernel", "replace", "step",
]  # fmt: skip
