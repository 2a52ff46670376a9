"""Widgets in a bare page, without JupyterLab: what it would do between the browser and Python is done here.

page = mount(browser, widget)      # a page in which the widget is shown and live
"""

import json

from browser import new_page, off_host

__all__ = ["THEMES", "mount"]

THEMES = {  # what JupyterLab's two themes say
    "light": "--jp-layout-color0:#fff;--jp-layout-color1:#fff;--jp-layout-color2:#eee;--jp-layout-color3:#bdbdbd;"
    "--jp-ui-font-color1:rgba(0,0,0,.87);--jp-ui-font-color2:rgba(0,0,0,.6);--jp-content-font-color1:rgba(0,0,0,.87);"
    "--jp-border-color1:#bdbdbd",
    "dark": "--jp-layout-color0:#111;--jp-layout-color1:#212121;--jp-layout-color2:#424242;--jp-layout-color3:#616161;"
    "--jp-ui-font-color1:#fff;--jp-ui-font-color2:rgba(255,255,255,.7);--jp-content-font-color1:#fff;"
    "--jp-border-color1:#616161",
}
PAGE = """<!doctype html><html lang="en"><head><title>cowlab</title><style>{css}</style></head>
<body data-jp-theme-light="{light}" style="margin:16px;{theme};background:var(--jp-layout-color0);
font-family:system-ui,sans-serif;color:var(--jp-ui-font-color1)"><main><h1>A lesson</h1>{before}
<div id="widgets"></div></main></body></html>"""
MOUNT = """async ({id, esm, state}) => {
  const heard = {};
  const take = (now) => {
    const news = Object.entries(now).filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(state[name]));
    news.forEach(([name, value]) => model.set(name, value));
    window.answered = 1;
  };
  const fire = (name) => (heard[`change:${name}`] || []).forEach((f) => f());
  const model = {
    get: (name) => state[name],
    set: (name, value) => { if (state[name] !== value) { state[name] = value; fire(name); } },
    save_changes: () => window.toPython(id, {at: state.at, chosen: state.chosen}).then(take),
    send: (content) => window.toPython(id, {content}).then(take),
    on: (name, f) => (heard[name] ||= []).push(f),
    off: (name, f) => { heard[name] = (heard[name] || []).filter((g) => g !== f); },
  };
  (window.models ||= []).push(model);
  const url = URL.createObjectURL(new Blob([esm], {type: "text/javascript"}));
  const el = document.createElement("div");
  document.getElementById("widgets").append(el);
  (await import(url)).default.render({model, el});
}"""


def mount(browser, *widgets, theme: str = "light", before: str = "", width: int = 1280, clock=False, **options):
    """A page with the widgets, each of which answers. ``page.errors`` lists what the console said, ``page.strangers``
    every request to another machine. ``before`` is HTML above them; with ``clock`` time stands still."""
    page = new_page(browser, width=width, height=900, **options)
    if clock:
        page.clock.install()
    page.set_default_timeout(10_000)
    page.errors, page.strangers = [], off_host(page)
    page.on("console", lambda m: page.errors.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda e: page.errors.append(str(e)))

    def to_python(id: int, said: dict) -> dict:
        widget = widgets[id]
        if "content" in said:
            widget._receive(widget, said.pop("content"), [])
        for name, value in said.items():
            setattr(widget, name, value)
        return json.loads(json.dumps(state_of(widget)))

    page.expose_function("toPython", to_python)
    css = "\n".join(dict.fromkeys(str(w._css) for w in widgets))
    page.set_content(PAGE.format(css=css, light=str(theme == "light").lower(), theme=THEMES[theme], before=before))
    for id, widget in enumerate(widgets):
        page.evaluate(MOUNT, {"id": id, "esm": str(widget._esm), "state": state_of(widget)})
    return page


def state_of(widget) -> dict:
    """What the widget sends to the browser."""
    return {
        k: v
        for k, v in widget.get_state().items()
        if not k.startswith("_") and k not in ("layout", "tooltip", "tabbable")
    }
