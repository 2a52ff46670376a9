// The player and the comparison of cowlab/ui/stepping.py: every step is here already, so moving asks no kernel.
const STEP = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1, PageUp: -1, PageDown: 1, Home: -Infinity, End: Infinity };
const PACES = [[1000, "1 second a step"], [2000, "2 seconds a step"], [4000, "4 seconds a step"], [8000, "8 seconds a step"]];

function render({ model, el }) {
  const steps = model.get("steps"), panels = model.get("panels"), parts = model.get("parts"), lines = model.get("lines");
  const first = model.get("first"), anchor = model.get("anchor"), last = steps.length - 1;
  let playing = null;

  const previous = button("Previous", () => go(at() - 1));
  const play = button("Play", () => (playing ? pause() : start()));
  const next = button("Next", () => go(at() + 1));
  const jump = button("Next fault or copy", () => go(stop()));
  const differ = button("First difference", () => go(first));
  const pace = make("select", { "aria-label": "Pace of playing" });
  for (const [ms, text] of PACES) pace.append(make("option", { value: ms }, text));
  pace.value = 2000;
  const range = make("input", { type: "range", min: 0, max: last, step: 1, "aria-label": "Step" });
  const place = make("span", { class: "cowlab-place" });
  const scrub = make("span", { class: "cowlab-scrub" }, range, place);
  const bar = make("div", { class: "cowlab-bar" }, previous, play, next, jump, pace, scrub);
  if (first > 0) jump.replaceWith(differ);
  if (first > 0 && last) {
    const mark = make("span", { class: "cowlab-mark", "aria-hidden": "true" }, "≠");
    mark.style.setProperty("--at", first / last);
    scrub.prepend(make("span", { class: "cowlab-track", "aria-hidden": "true" }, mark));
  }

  const shown = panels.map((panel) => {
    const name = panel.name ? [make("p", { class: "cowlab-name" }, `on ${panel.name}`)] : [];
    const live = make("div", { class: "cowlab-live", "aria-live": "polite", "aria-atomic": "true" });
    // Hidden copies of all captions keep the caption as high as the longest one, so that nothing below it jumps.
    const captions = make("div", { class: "cowlab-captions" }, live);
    panel.frames.forEach((frame, n) => captions.append(make("div", { class: "cowlab-reserve", "aria-hidden": "true" }, caption(n, frame))));
    const stage = picture(panel.name ? `Picture, ${panel.name}` : "Picture");
    const where = panel.name ? `, ${panel.name}` : "";
    const inside = make("div", { class: "cowlab-inside", role: "group", "aria-label": `Inside the kernel${where}` });
    const twin = make("pre", { tabindex: 0, "aria-label": `In words${where}` });
    const seen = make("div", { class: "cowlab-seen" }, ...name, captions, stage);
    const told = make("div", { class: "cowlab-told" }, inside, make("details", {}, make("summary", {}, `In words${where}`), twin));
    const root = make("div", { class: "cowlab-panel" }, seen, told);
    return { panel, live, stage, inside, twin, root, where };
  });
  const why = make("div", { class: "cowlab-why", "aria-live": "polite" });
  const stages = make("div", { class: "cowlab-panels" }, ...shown.map((s) => s.root), why);
  const root = widget(model.get("title"), panels.length > 1 ? "cowlab-beside" : "cowlab-one", bar, stages);

  const at = () => Math.max(0, Math.min(last, model.get("at")));
  const stop = () => steps.findIndex((step, n) => n > at() && step.stop);

  function caption(n, frame) {
    const said = make("div", { class: "cowlab-said" });
    if (panels.length < 2 || frame.moved || n === 0) said.append(make("p", { class: "cowlab-action" }, steps[n].action));
    said.append(...paragraphs(frame.says));
    return said;
  }
  function go(to) {
    model.set("at", Math.max(0, Math.min(last, to)));
    model.save_changes();
  }
  function start() {
    if (at() === last) go(0);
    tick();
  }
  function tick() {
    playing = setTimeout(() => {
      go(at() + 1);
      if (at() < last) tick();
      else pause();
    }, Number(pace.value));
    show();
  }
  function pause() {
    clearTimeout(playing);
    playing = null;
    show();
  }
  function show() {
    const n = at();
    for (const { panel, live, stage, inside, twin, where } of shown) {
      if (stage.dataset.at === String(n)) continue;
      const frame = panel.frames[n];
      stage.dataset.at = n;
      stage.innerHTML = frame.svg.map((i) => parts[i]).join("");
      live.replaceChildren(caption(n, frame));
      inside.replaceChildren(...(frame.events.length ? [make("p", { class: "cowlab-name" }, `Inside the kernel${where}`), walk(frame.events)] : []));
      twin.textContent = frame.text.map((i) => lines[i]).join("\n");
    }
    const tell = first >= 0 && n >= first;
    if (why.hasChildNodes() !== tell) why.replaceChildren(...(tell ? paragraphs(model.get("why")) : []));
    range.value = n;
    range.setAttribute("aria-valuetext", steps[n].place);
    place.textContent = steps[n].place;
    play.textContent = playing ? "Pause" : "Play";
    previous.setAttribute("aria-disabled", n === 0);
    next.setAttribute("aria-disabled", n === last);
    jump.setAttribute("aria-disabled", stop() < 0);
    differ.setAttribute("aria-disabled", n === first);
  }

  range.addEventListener("input", () => go(Number(range.value)));
  root.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || !(event.key in STEP)) return;
    const box = event.target;
    if (box === pace || shown.some((s) => box === s.twin || (box === s.stage && box.scrollWidth > box.clientWidth))) return;
    event.preventDefault();
    go(at() + STEP[event.key]);
  });

  // A link to #NAME-4 anywhere in the page shows step 4 here. Clicks are seen before the notebook follows them.
  function named(hash) {
    const [, name, step] = decodeURIComponent(hash).match(/^#(.+)-(\d+)$/) || [];
    return anchor && name === anchor ? Number(step) : null;
  }
  function follow(event) {
    const link = event.target.closest?.("a[href]");
    const step = link ? named(new URL(link.href, document.baseURI).hash) : null;
    if (step === null) return;
    event.preventDefault();
    event.stopPropagation();
    go(step);
    root.scrollIntoView({ block: "nearest" });
    range.focus({ preventScroll: true });
  }
  if (anchor) document.addEventListener("click", follow, true);
  const asked = named(location.hash);
  if (asked !== null) go(asked);

  model.on("change:at", show);
  el.append(root);
  show();
  return () => {
    clearTimeout(playing);
    document.removeEventListener("click", follow, true);
    model.off("change:at", show);
  };
}

export default { render };
