"""Widgets for the browser. Nothing here is needed to compute or to draw."""


def __getattr__(name: str):
    if name == "Player":
        try:
            from .player import Player
        except ImportError as e:
            raise ImportError(f"the player needs {e.name}; without it, display the trace itself") from None
        return Player
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
