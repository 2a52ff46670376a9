"""The learner's own kernel: the schedules of a litmus test as real processes and real system calls, without root.

Three calls for notebooks, each under a second, safe to run twice and to interrupt: :func:`probe` (what this machine
is and which generation its kernel shows), :func:`watch_cow` (the "exclusively mapped" bit over fork and write) and
:func:`run` (a litmus test, tallied next to the model's verdict). Each result displays as a table in a notebook and
prints as words, and has ``as_json()``. Where the live kernel is out of reach, none of them raises: the result says
so in one sentence (``reason``) and shows what recorded kernels did, with the release.

Everything runs in a helper process of its own (:mod:`.helper`), which ends with this one.
"""

from importlib import import_module

_FROM = {  # loaded when first asked for, so that the command line starts quickly
    "STEPS": "reach", "Probe": "generation", "Tally": "tally", "Unreachable": "session", "Watch": "watching",
    "probe": "generation", "run": "tally", "stop": "session", "watch": "watching", "watch_cow": "watching",
}  # fmt: skip
__all__ = [
    "STEPS", "Probe", "Tally", "Unreachable", "Watch", "probe", "run", "stop", "watch", "watch_cow",
]  # fmt: skip


def __getattr__(name: str):
    if name not in _FROM:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_FROM[name]}", __name__), name)


def __dir__() -> list[str]:
    return __all__
