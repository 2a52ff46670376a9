"""All schedules and all states. This storey knows no COW: it calls ``mm.step`` and compares states.

    >>> from cowlab import kernel
    >>> from cowlab.explore import explore
    >>> found = explore(kernel("v5.7"), processes=2, pages=1, never="leak")
    >>> found.verdict, len(found.shortest)
    ('violated', 4)
    >>> explore(kernel("v6.1"), never="leak")
    <leak on v6.1: holds, 117 states>

``explore()`` answers `cowlab explore` (free.py); ``schedules`` walks the interleavings of a litmus test.
"""

__all__ = ["Exploration", "explore"]


def __getattr__(name: str):
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import free

    return getattr(free, name)
