"""The engine: frozen states, one step, kernel generations as data. It depends on nothing.
Read in this order: state, fault, gup, fork, kernels, step; then callers, syscalls, reclaim, huge."""

from .callers import CALLERS, gpu_mem_total
from .kernels import KERNELS, ROADS, Kernel, kernel
from .state import FREED, NO_TABLE, PINNED, ZERO_PAGE, Frame, Mm, Proc, Pte, Ref, Slot, State, Swp, Vma, Why, replace
from .step import GRAMMAR, KERNEL_THREADS, Action, Stepped, boot, step

__all__ = [
    "CALLERS", "FREED", "GRAMMAR", "KERNELS", "KERNEL_THREADS", "NO_TABLE", "PINNED", "ROADS", "ZERO_PAGE", "Action",
    "Frame", "Kernel", "Mm", "Proc", "Pte", "Ref", "Slot", "State", "Stepped", "Swp", "Vma", "Why", "boot",
    "gpu_mem_total", "kernel", "replace", "step",
]  # fmt: skip
