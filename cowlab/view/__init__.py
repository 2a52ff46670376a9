"""Pictures and words: pure functions of a trace or a verdict. One scene, three views: text, SVG, DOT.

A lesson uses, besides ``trace.show(n)``, ``trace.player()`` and ``verdict.diagram()``: :func:`compare` (one schedule
on several kernels), :func:`who_shares` (who shares what in one moment), :func:`family` (who forked whom),
:func:`call_paths` (one step inside the kernel), :func:`verdict_table`. Each displays as a picture, and prints as the
same in words.
"""

from .bundle import Diagram, Picture, VerdictTable, picture, trace_bundle, verdict_bundle, verdict_table
from .compare import Comparison, compare
from .executions import FULL, LIMIT
from .graphs import Family, Shared, family, who_shares
from .path import CallPaths, call_paths
from .render import render
from .scene import Scene, scene, scenes
from .svg import scene_svg
from .text import scene_text, trace_text

__all__ = [
    "FULL", "LIMIT", "CallPaths", "Comparison", "Diagram", "Family", "Picture", "Scene", "Shared", "VerdictTable",
    "call_paths", "compare", "family", "picture", "render", "scene", "scene_svg", "scene_text", "scenes",
    "trace_bundle", "trace_text", "verdict_bundle", "verdict_table", "who_shares",
]  # fmt: skip
