// The graph of cowlab/ui/graph.py. The states are buttons; Tab leads to the chosen one, arrow keys to its neighbours.
function render({ model, el }) {
  const nodes = model.get("nodes");
  const drawing = make("div", { class: "cowlab-graph", role: "group", "aria-label": `${model.get("alt")} Arrow keys go from one to the next.` });
  drawing.innerHTML = model.get("svg");
  drawing.querySelector("svg").setAttribute("role", "group");
  drawing.querySelector("svg").setAttribute("aria-label", "The graph");
  const boxes = nodes.map((_, n) => drawing.querySelector(`[data-node="${n + 1}"]`));
  const live = make("div", { class: "cowlab-live cowlab-said", "aria-live": "polite", "aria-atomic": "true" });
  const onward = make("div", { class: "cowlab-bar", role: "group", "aria-label": "Steps that lead on" });
  const way = make("div", { class: "cowlab-way", "aria-live": "polite" });
  const stage = picture("Picture of the state");
  const twin = make("pre", { tabindex: 0, "aria-label": "In words" });
  const words = make("details", {}, make("summary", {}, "In words"), twin);
  const back = button("Back to the start", () => go(1));
  const root = widget(model.get("title"), "cowlab-executions", drawing, make("div", { class: "cowlab-bar" }, back),
    reserve(live, told), reserve(onward, leads), stage, way, words);
  const at = () => model.get("chosen");

  // Room for the longest there is, by hidden copies: from state to state neither the buttons nor the picture move.
  function reserve(shown, fill) {
    const all = nodes.map((node) => ({ node, size: JSON.stringify([node.holds, node.steps]).length }));
    const longest = all.sort((a, b) => b.size - a.size).slice(0, 40);
    return make("div", { class: "cowlab-captions" }, shown,
      ...longest.map((entry) => make("div", { class: `${shown.className} cowlab-reserve`, "aria-hidden": "true" }, ...fill(entry.node))));
  }
  function told(node) {
    return [make("p", { class: "cowlab-action" }, node.name), ...paragraphs(node.holds)];
  }
  function leads(node) {
    return node.steps.map(([step, to]) => button(`${step} → ${nodes[to - 1].name.split(",")[0]}`, () => go(to)));
  }
  function go(to, focus = false) {
    model.set("chosen", Math.max(1, Math.min(nodes.length, to)));
    model.save_changes();
    if (focus) boxes[at() - 1].focus();
  }
  boxes.forEach((box, n) => {
    box.setAttribute("role", "button");
    box.setAttribute("aria-label", `${nodes[n].name}. ${nodes[n].holds.join(". ")}`);
    box.addEventListener("click", () => go(n + 1, true));
    box.addEventListener("focus", () => at() !== n + 1 && go(n + 1));
    box.addEventListener("keydown", (event) => {
      const to = { ArrowLeft: n, ArrowUp: n, ArrowRight: n + 2, ArrowDown: n + 2, Home: 1, End: nodes.length, Enter: n + 1, " ": n + 1 }[event.key];
      if (to === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      go(to, true);
    });
  });
  function show() {
    const n = at() - 1, node = nodes[n];
    boxes.forEach((box, k) => {
      box.setAttribute("tabindex", k === n ? 0 : -1);
      box.setAttribute("aria-pressed", k === n);
    });
    reveal();
    live.replaceChildren(...told(node));
    const inside = onward.contains(onward.getRootNode().activeElement); // whoever walks on by these buttons stays with them
    onward.replaceChildren(...leads(node));
    if (inside) (onward.querySelector("button") || boxes[n]).focus();
    back.setAttribute("aria-disabled", n === 0);
  }
  function reveal() {
    const box = boxes[at() - 1].getBoundingClientRect(), view = drawing.getBoundingClientRect();
    if (box.left < view.left || box.right > view.right) drawing.scrollLeft += box.left + box.width / 2 - view.left - view.width / 2;
    if (box.top < view.top || box.bottom > view.bottom) drawing.scrollTop += box.top + box.height / 2 - view.top - view.height / 2;
  }
  function look() {
    const shown = model.get("shown"), mine = shown.at === at();
    stage.hidden = words.hidden = way.hidden = !shown.svg;
    if (!mine || !shown.svg) return;
    stage.innerHTML = shown.svg;
    twin.textContent = shown.text;
    way.replaceChildren(...paragraphs([`A shortest way here: ${shown.way}.`]));
  }
  model.on("change:chosen", show);
  model.on("change:shown", look);
  el.append(root);
  show();
  look();
  requestAnimationFrame(reveal); // when it has a size: the start may be out of sight
  return () => {
    model.off("change:chosen", show);
    model.off("change:shown", look);
  };
}

export default { render };
