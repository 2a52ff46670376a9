"""Pictures and words: pure functions of a trace or a verdict. One scene, three views: text, SVG, DOT."""

from .bundle import Diagram, Picture, VerdictTable, picture, trace_bundle, verdict_bundle, verdict_table
from .executions import LIMIT
from .render import render
from .scene import Scene, scene, scenes
from .svg import scene_svg
from .text import scene_text, trace_text

__all__ = [
    "LIMIT", "Diagram", "Picture", "Scene", "VerdictTable", "picture", "render", "scene", "scene_svg", "scene_text",
    "scenes", "trace_bundle", "trace_text", "verdict_bundle", "verdict_table",
]  # fmt: skip
