"""Copy-on-write and get_user_pages(), for several generations of Linux, with every schedule explored.

A child keeps a page that it no longer maps. Can it read what the parent writes there next?

>>> import cowlab
>>> test = cowlab.load("child-reads-parent-secret")
>>> for name in ("v5.7", "v5.8", "v5.9", "v6.1"):
...     print(repr(cowlab.judge(test, cowlab.kernel(name))))
<child-reads-parent-secret on v5.7: Sometimes 1 2>
<child-reads-parent-secret on v5.8: Never 0 3>
<child-reads-parent-secret on v5.9: Never 0 3>
<child-reads-parent-secret on v6.1: Never 0 3>
>>> for step in cowlab.judge(test, cowlab.kernel("v5.7")).witness.steps:
...     print(step)
P: fork C
C: vmsplice x -> pipe
C: munmap x
P: write x new
"""

from importlib import import_module

__version__ = "0.1.0"
__all__ = [
    "KERNELS", "Kernel", "LitmusError", "Test", "Trace", "Verdict", "catalogue", "judge", "kernel", "load", "parse",
    "run",
]  # fmt: skip


def __getattr__(name: str):
    """The public names and the storeys, each loaded when it is first asked for: `import cowlab` costs nothing."""
    if name in __all__:
        value = getattr(import_module(f"{__name__}.{'mm' if 'kernel' in name.lower() else 'litmus'}"), name)
    elif name in ("designs", "explore", "litmus", "mm", "view"):
        value = import_module(f"{__name__}.{name}")
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return globals().setdefault(name, value)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "designs", "explore", "litmus", "mm", "view"})


def load_ipython_extension(shell) -> None:
    """What ``%load_ext cowlab`` calls: the magics ``%litmus`` and ``%%litmus``, see :mod:`cowlab.magic`."""
    from .magic import register

    register(shell)
