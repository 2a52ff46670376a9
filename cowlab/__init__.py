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

from .litmus import LitmusError, Test, Trace, Verdict, catalogue, judge, load, parse, run
from .mm import KERNELS, Kernel, kernel

__version__ = "0.1.0"
__all__ = [
    "KERNELS", "Kernel", "LitmusError", "Test", "Trace", "Verdict", "catalogue", "judge", "kernel", "load", "parse",
    "run",
]  # fmt: skip
