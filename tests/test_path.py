"""cowlab.view.path: the call path of one step, drawn."""

from dataclasses import replace

from cowlab import judge, kernel, load
from cowlab.view.path import call_paths

OLD, NEW = kernel("v5.7"), kernel("v5.8")
HALF = replace(OLD, name="half", force_cow_break=NEW.force_cow_break, fast_walk=NEW.fast_walk)


def paths(*kernels):
    test = load("own-copy-writable-after-mprotect")
    return call_paths([judge(test, k).finals[0].trace for k in kernels], step=2)


def test_the_words_say_who_maps_the_page_in_the_end():
    assert [end for _, _, end in paths(OLD, HALF, NEW).paths] == [
        "gets a page that P and C map",
        "never comes back",
        "gets a page that only C maps",
    ]


def test_an_endless_path_is_a_circle_and_has_no_exit():
    source = paths(HALF).to_dot().source
    assert '"0 faultin_page" -> "0 follow_page_pte" [label=" 5, 8. remembers FOLL_COW "' in source
    assert "0 end" not in source
    assert '"0 follow_page_pte" -> "0 end"' in paths(NEW).to_dot().source


def test_without_a_renderer_the_words_stand_alone(monkeypatch):
    shown = paths(OLD, NEW)
    monkeypatch.setattr("cowlab.view.drawn.render", lambda source: None)
    html = shown._repr_mimebundle_()["text/html"]
    assert "<img" not in html
    assert "<pre><code>C: gup_fast x" in html
    assert shown._repr_mimebundle_()["text/plain"] == shown.text == str(shown)
