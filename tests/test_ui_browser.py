"""Each widget in a browser: by keyboard alone, as a screen reader has it, in both themes, on wide and narrow pages."""

import re
from unittest import mock

import pytest
from browser import new_page
from widgets import mount

from cowlab.course import QUESTIONS, predict
from cowlab.course.widget import QuestionForm, show_table
from cowlab.litmus import catalogue, judge, load, run
from cowlab.mm import kernel
from cowlab.ui import executions, player, scheduler, side_by_side
from cowlab.view import scene_svg, scenes

STORY = "child-reads-parent-secret"
WIDGETS = {
    "player": lambda: player(STORY, "v5.8", "P C C P"),
    "side by side": lambda: side_by_side(STORY, "P C C P", ["v5.7", "v5.8"]),
    "scheduler": lambda: scheduler(STORY, tests=["second-writer-reuses"]),
    "executions": lambda: executions(STORY),
    "question": lambda: QuestionForm(QUESTIONS["05-first-writer"], lambda reply: None),
    "table": lambda: table(),
}


def table():
    """The form that predict() shows, without what it would display."""
    asked = predict("t", run(load(STORY), kernel("v5.7"), "P C C P"), 3, ["P.x entry", "frame 0 refcount"])
    with mock.patch("IPython.display.display"):
        return show_table(asked, asked._repr_mimebundle_()).children[0]


@pytest.fixture(params=WIDGETS.values(), ids=WIDGETS)
def widget(request):
    return request.param()


def tab_to(page, name: str, role: str = "button") -> None:
    """Press Tab until this has the focus."""
    wanted = page.get_by_role(role, name=name).first
    for _ in range(40):
        page.keyboard.press("Tab")
        if wanted.evaluate("e => e === document.activeElement"):
            return
    raise AssertionError(f"Tab does not lead to {name!r}")


def live(page, n: int = 0) -> str:
    """What a screen reader was told last."""
    return page.locator(".cowlab-live").nth(n).inner_text()


def quiet(page) -> None:
    """No error in the console, and nothing asked of another machine."""
    assert (page.errors, page.strangers) == ([], [])


LOOKS = [("light", 700), ("dark", 1280), ("dark", 700)]


@pytest.mark.parametrize(
    ("theme", "width"), [("light", 1280), *(pytest.param(*look, marks=pytest.mark.full) for look in LOOKS)]
)
def test_axe_finds_nothing(browser, widget, theme, width):
    """axe-core, which comes with the test package and asks no network, finds no violation."""
    sync = pytest.importorskip("axe_playwright_python.sync_playwright")
    page = mount(browser, widget, theme=theme, width=width)
    for summary in page.locator("summary").all():
        summary.click()
    found = sync.Axe().run(page).response["violations"]
    assert [(v["id"], v["impact"], v["nodes"][0]["html"], v["nodes"][0]["failureSummary"]) for v in found] == []
    quiet(page)


def test_the_focus_is_seen(browser, widget):
    """Whatever Tab reaches has an outline of 2 pixels or more; Tab leads out of the widget again."""
    page = mount(browser, widget, before="<a href='#'>before</a>")
    page.keyboard.press("Tab")
    seen = []
    for _ in range(60):
        page.keyboard.press("Tab")
        where = page.evaluate("""() => { const e = document.activeElement, s = getComputedStyle(e);
            return [e.tagName, e.textContent.slice(0, 30), s.outlineStyle, parseFloat(s.outlineWidth)]; }""")
        if where[0] in ("BODY", "A"):
            break
        seen.append(where)
    assert len(seen) >= 3
    assert [w for w in seen if w[2] == "none" or w[3] < 2] == []
    assert where[0] in ("BODY", "A"), "the focus is caught"


OUTSIDE = """() => [...document.querySelectorAll('svg.cow')].flatMap(svg => {
    const box = svg.getBoundingClientRect();
    return [...svg.querySelectorAll('text')].filter(t => { const b = t.getBoundingClientRect();
        return b.left < box.left - 1 || b.right > box.right + 1; }).map(t => t.textContent); })"""
UNFIT = """() => [...document.querySelectorAll('svg.cow')].flatMap(svg => {
    const box = e => e.getBoundingClientRect(), bad = [];
    const core = b => ({left: b.left, right: b.right, top: b.top + b.height / 4, bottom: b.bottom - b.height / 4});
    const meet = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
    const texts = [...svg.querySelectorAll('text')].filter(t => t.textContent !== '\u2260').map(t => [t, core(box(t))]);
    const boxes = [...svg.querySelectorAll('rect:not(.ring)')].map(box).filter(b => b.width > 20);
    texts.forEach(([t, a], n) => {
        const cut = b => meet(a, b) && (a.left < b.left || a.right > b.right);
        texts.slice(n + 1).forEach(([u, b]) => meet(a, b) && bad.push([t.textContent, u.textContent]));
        boxes.filter(cut).forEach(() => bad.push([t.textContent]));
    });
    return bad; })"""
WHERE = """() => JSON.stringify([...document.querySelectorAll('button, input, svg.cow')].map(e => {
    const b = e.getBoundingClientRect(); return [b.x, b.y, b.width, b.height].map(Math.round); }))"""


@pytest.mark.parametrize("width", [pytest.param(1280, marks=pytest.mark.full), 700, 360])
def test_nothing_is_cut_off(browser, widget, width):
    """The page never gets wider than its window; only a picture may scroll by itself; no text leaves its picture."""
    page = mount(browser, widget, width=width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(OUTSIDE) == []


@pytest.mark.parametrize("names", [[STORY, "a-crowd-of-four"], pytest.param([*catalogue()], marks=pytest.mark.full)])
def test_text_stays_in_its_box(browser, names):
    """In no picture of the catalogue does a text leave the box that it stands in, or touch another text. Larger letters
    do: the measure can fail."""
    page = new_page(browser)
    for on in ("v5.7", "v6.1"):
        traces = [f.trace for name in names for f in judge(load(name), kernel(on)).finals[:1]]
        page.set_content("".join(scene_svg(s) for t in traces for s in scenes(t)))
        assert page.evaluate(UNFIT) == []
    page.add_style_tag(content=".cow text { font-size: 22px }")
    assert page.evaluate(UNFIT) != []


@pytest.mark.parametrize("width", [pytest.param(1280, marks=pytest.mark.full), 700])
@pytest.mark.parametrize("kind", ["player", "side by side"])
def test_nothing_jumps(browser, kind, width):
    """From step to step the controls and the pictures stay where they are."""
    page, places = mount(browser, WIDGETS[kind](), width=width), set()
    for n in range(5):
        page.evaluate("n => window.models[0].set('at', n)", n)
        places.add(page.evaluate(WHERE))
    assert len(places) == 1


@pytest.mark.full
@pytest.mark.parametrize("width", [1280, 700])
def test_nothing_jumps_in_the_graph(browser, width):
    """From state to state the graph, the button below it and the picture stay where they are, however many steps lead
    on and however much there is to tell."""
    page, places = mount(browser, executions("a-crowd-of-four"), width=width), set()
    for n in (1, 2, 12, 40, 150, 279):
        page.locator(f"[data-node='{n}']").evaluate("e => e.focus()")
        page.wait_for_function("n => window.models[0].get('shown').at === n", arg=n)
        boxes = [page.locator(css).bounding_box() for css in (".cowlab-graph", "svg.cow")]
        places.add(str([*boxes, page.get_by_role("button", name="Back to the start").bounding_box()]))
    assert len(places) == 1


@pytest.mark.parametrize("width", [pytest.param(1280, marks=pytest.mark.full), 700])
def test_nothing_jumps_in_the_game(browser, width):
    """From move to move the buttons and the picture stay where they are."""
    page, places = mount(browser, WIDGETS["scheduler"](), width=width), set()
    for n, step in enumerate(("", "P: fork C", "C: vmsplice", "C: munmap", "P: write")):
        if step:
            page.get_by_role("button", name=step).click()
            page.get_by_role("status").get_by_text(f"Move {n}").wait_for()
        places.add(page.evaluate(WHERE))
    assert len(places) == 1


# The player


def test_the_player_by_keyboard(browser):
    """Buttons, slider and arrow keys move; each move is told; the notebook does not hear the keys."""
    page = mount(browser, WIDGETS["player"]())
    page.evaluate("document.addEventListener('keydown', (e) => (window.heard = (window.heard || '') + e.key + ' '))")
    assert live(page) == "the start\n\nThe start: P.x holds old."
    tab_to(page, "Next")
    page.keyboard.press("Enter")
    assert live(page).startswith("P: fork C")
    page.keyboard.press("ArrowRight")
    assert live(page) == "C: vmsplice x -> pipe\n\ndo_wp_page copies, because mapcount is 2."
    inside = page.get_by_role("group", name="Inside the kernel")
    assert inside.get_by_role("listitem").count() == 5
    assert inside.locator(".cowlab-decides").count() == 2
    tab_to(page, "Step", role="slider")
    page.keyboard.press("End")
    slider = page.get_by_role("slider", name="Step")
    assert slider.get_attribute("aria-valuetext") == "step 4 of 4"
    assert live(page).startswith("P: write x new")
    page.keyboard.press("Home")
    assert page.get_by_role("button", name="Previous").get_attribute("aria-disabled") == "true"
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Shift+Tab")
    assert page.evaluate("document.activeElement.textContent") == "Next fault or copy"
    page.keyboard.press("Enter")
    assert slider.get_attribute("aria-valuetext") == "step 2 of 4"
    assert page.evaluate("(window.heard || '').replaceAll('Tab', '').replaceAll('Shift', '').trim()") == ""
    quiet(page)


def test_play_at_the_learners_pace(browser):
    """Nothing plays by itself; Play goes on at the chosen pace, stops at the end, and Pause stops it."""
    page = mount(browser, WIDGETS["player"](), clock=True)
    slider = page.get_by_role("slider", name="Step")
    page.clock.run_for(20_000)
    assert slider.input_value() == "0"
    page.get_by_label("Pace of playing").select_option("4 seconds a step")
    page.get_by_role("button", name="Play").click()
    page.clock.run_for(3_900)
    assert slider.input_value() == "0"
    page.clock.run_for(200)
    assert slider.input_value() == "1"
    page.get_by_role("button", name="Pause").click()
    page.clock.run_for(20_000)
    assert slider.input_value() == "1"
    page.get_by_role("button", name="Play").click()
    page.clock.run_for(20_000)
    assert slider.input_value() == "4"
    assert page.get_by_role("button", name="Play").count() == 1


def test_a_link_leads_to_a_step(browser):
    """A link to #leak-3 shows step 3 and moves the focus to the slider; another link is left alone."""
    links = "<p><a href='#leak-3'>step 3</a> <a href='#other-2'>elsewhere</a></p>"
    page = mount(browser, player(STORY, "v5.7", anchor="leak"), player(STORY, "v5.8"), before=links)
    sliders = page.get_by_role("slider", name="Step")
    page.get_by_role("link", name="step 3").click()
    assert [s.input_value() for s in sliders.all()] == ["3", "0"]
    assert sliders.first.evaluate("e => e === document.activeElement")
    page.get_by_role("link", name="elsewhere").click()
    assert [s.input_value() for s in sliders.all()] == ["3", "0"]


def test_python_moves_the_player_too(browser):
    """`at` is one number, whoever sets it."""
    widget = WIDGETS["player"]()
    page = mount(browser, widget)
    page.get_by_role("button", name="Next", exact=True).click()
    page.wait_for_function("window.answered > 0")
    assert widget.at == 1
    page.evaluate("window.models[0].set('at', 3)")
    assert page.get_by_role("slider", name="Step").input_value() == "3"


# Side by side


def test_side_by_side_by_keyboard(browser):
    """One slider moves both; the first difference is a button away, marked in both pictures, and explained."""
    page = mount(browser, WIDGETS["side by side"]())
    assert page.get_by_text("The first difference").count() == 0
    tab_to(page, "First difference")
    page.keyboard.press("Enter")
    assert page.get_by_role("slider", name="Step").input_value() == "2"
    assert live(page, 0) == "C: vmsplice x -> pipe\n\ngup_pte_range takes the page: the entry is read-only."
    assert live(page, 1) == "C: vmsplice x -> pipe\n\ndo_wp_page copies, because mapcount is 2."
    assert page.locator(".cowlab-why p").first.inner_text() == (
        "The first difference is at step 2 of 4, C: vmsplice x -> pipe."
    )
    tops = [page.locator(css).first.bounding_box()["y"] for css in ("svg.cow", ".cowlab-why", ".cowlab-inside")]
    assert tops == sorted(tops), "the pictures, what explains them, all that the kernel did"
    marked = [page.get_by_role("group", name=f"Picture, {k}").locator(".ring").count() for k in ("v5.7", "v5.8")]
    assert marked == [8, 8], "four boxes, two lines each"
    page.keyboard.press("ArrowLeft")
    assert page.locator(".ring").count() == 0
    assert page.locator(".cowlab-why p").count() == 0
    quiet(page)


def test_beside_or_below(browser):
    """Two pictures stand beside each other where both are legible there, else one below the other."""
    for width, beside in ((1280, True), (700, False)):
        page = mount(browser, WIDGETS["side by side"](), width=width)
        tops = [page.locator("svg.cow").nth(n).bounding_box()["y"] for n in (0, 1)]
        assert (tops[0] == tops[1]) is beside


# You are the scheduler


def test_the_game_by_keyboard(browser):
    """Won with Tab and Enter alone. The focus stays with the player, and every answer is told."""
    page = mount(browser, WIDGETS["scheduler"]())
    status = page.get_by_role("status")
    assert status.inner_text() == "Your move.\n\n0 moves made."
    tab_to(page, "P: fork C, can move")
    page.keyboard.press("Enter")
    status.get_by_text("It can still be reached from here.").wait_for()
    assert page.evaluate("document.activeElement.textContent") == "write x new", "the next step of the same column"
    page.keyboard.press("Enter")
    status.get_by_text("From here it cannot be reached any more").wait_for()
    tab_to(page, "Take back")
    page.keyboard.press("Enter")
    status.get_by_text("1 move taken back").wait_for()
    for step in ("C: vmsplice x -> pipe, can move", "C: munmap x, can move"):
        page.get_by_role("button", name=step).focus()
        page.keyboard.press("Enter")
        page.get_by_role("button", name=step).wait_for(state="detached")
    tab_to(page, "Show the next move")
    page.keyboard.press("Enter")
    status.get_by_text("A shortest way starts with P: write x new. 1 move to go.").wait_for()
    page.get_by_role("button", name="P: write x new, can move").focus()
    page.keyboard.press("Enter")
    status.get_by_text("Reached: C.pipe == new.").wait_for()
    assert "5 moves made, 1 move taken back. The fewest is 4." in status.inner_text()
    assert page.get_by_role("button", name=re.compile("can move")).count() == 0
    quiet(page)


def test_another_kernel_and_another_level(browser):
    """On v5.8 the game says that no play wins; another level brings its own columns."""
    page = mount(browser, WIDGETS["scheduler"]())
    page.get_by_role("combobox", name="Kernel").select_option("v5.8")
    page.get_by_role("group", name="on v5.8").wait_for()
    page.get_by_role("button", name="P: fork C").click()
    page.get_by_role("status").get_by_text("No play wins on v5.8: all 3 executions were tried").wait_for()
    page.get_by_label("Level").select_option("second-writer-reuses")
    page.get_by_role("group", name="second-writer-reuses").wait_for()
    assert page.get_by_role("status").inner_text().startswith("Your move.")
    quiet(page)


# All executions


def test_the_graph_by_keyboard(browser):
    """Tab leads to the chosen state, arrow keys to its neighbours, buttons along the steps; each state is told, and its
    picture comes from Python."""
    widget = WIDGETS["executions"]()
    page = mount(browser, widget)
    assert live(page).startswith("state 1, start\n\ninit.x holds old: P.x")
    tab_to(page, "state 1, start")
    page.keyboard.press("ArrowDown")
    page.get_by_text("A shortest way here: P: fork C.").wait_for()
    assert page.get_by_role("button", name="state 2", exact=False).first.get_attribute("aria-pressed") == "true"
    for step in ("C: vmsplice x -> pipe", "C: munmap x", "P: write x new (reuse)"):
        button = page.get_by_role("button", name=step)
        button.focus()
        page.keyboard.press("Enter")
        button.wait_for(state="detached")
    assert live(page).startswith("state 8, BAD END of 1 execution")
    page.get_by_text("A shortest way here: P: fork C; C: vmsplice x -> pipe; C: munmap x; P: write x new.").wait_for()
    assert widget.chosen == 8
    assert page.evaluate("document.activeElement.getAttribute('data-node')") == "8"
    assert "P.x" in page.get_by_role("group", name="Picture of the state").locator("svg desc").text_content()
    quiet(page)


def test_a_folded_graph(browser):
    """Groups have no picture; what they hold and where the deciding steps lead is told."""
    page = mount(browser, executions(STORY, fold=True))
    assert "still open: 1 bad outcome and 1 good outcome" in live(page)
    page.get_by_role("button", name="C: munmap x → group 3").click()
    assert live(page).startswith("group 3")
    assert page.get_by_role("group", name="Picture of the state").count() == 0
    quiet(page)
