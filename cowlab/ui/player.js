// The player of cowlab/ui/player.py: every frame is here already, so a step asks no kernel.
const STEP = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1, PageUp: -1, PageDown: 1, Home: -Infinity, End: Infinity };
const PACE = 2000; // milliseconds a step while playing

function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

function words(frame) {
  const said = make("div", { class: "cowlab-said" }, make("p", { class: "cowlab-action" }, frame.action));
  for (const event of frame.events) said.append(make("p", {}, event));
  return said;
}

function render({ model, el }) {
  const frames = model.get("frames");
  const last = frames.length - 1;
  const button = (text, act) => {
    const node = make("button", { type: "button" }, text);
    node.addEventListener("click", () => node.getAttribute("aria-disabled") !== "true" && act());
    return node;
  };
  let playing = null;

  const previous = button("Previous", () => go(at() - 1));
  const play = button("Play", () => (playing ? pause() : start()));
  const next = button("Next", () => go(at() + 1));
  const jump = button("Next fault or copy", () => go(stop()));
  const range = make("input", { type: "range", min: 0, max: last, step: 1, "aria-label": "Step" });
  const place = make("span", { class: "cowlab-place" });
  const live = make("div", { class: "cowlab-live", "aria-live": "polite", "aria-atomic": "true" });
  const picture = make("div", { class: "cowlab-picture", tabindex: 0, role: "group", "aria-label": "Picture" });
  const twin = make("pre", { tabindex: 0 });
  // Hidden copies of all captions keep the caption as high as the longest one, so that nothing below it jumps.
  const captions = make("div", { class: "cowlab-captions" }, live);
  for (const frame of frames) captions.append(make("div", { class: "cowlab-reserve", "aria-hidden": "true" }, words(frame)));
  const root = make(
    "section",
    { class: "cowlab-player", role: "group", "aria-label": `Player, ${model.get("title")}`, "data-lm-suppress-shortcuts": "true" },
    make("div", { class: "cowlab-bar" }, previous, play, next, jump, make("span", { class: "cowlab-scrub" }, range, place)),
    make("div", { class: "cowlab-stage" }, captions, picture),
    make("details", {}, make("summary", {}, "In words"), twin),
  );

  const at = () => Math.max(0, Math.min(last, model.get("at")));
  const stop = () => frames.findIndex((frame, n) => n > at() && frame.stop);

  function go(to) {
    model.set("at", Math.max(0, Math.min(last, to)));
    model.save_changes();
  }
  function start() {
    if (at() === last) go(0);
    playing = setInterval(() => (at() < last ? go(at() + 1) : pause()), PACE);
    show();
  }
  function pause() {
    clearInterval(playing);
    playing = null;
    show();
  }
  function show() {
    const n = at(), frame = frames[n];
    if (playing && n === last) return pause();
    if (picture.dataset.at !== String(n)) {
      picture.dataset.at = n;
      picture.innerHTML = frame.svg;
      live.replaceChildren(words(frame));
      twin.textContent = frame.text;
    }
    range.value = n;
    range.setAttribute("aria-valuetext", frame.place);
    place.textContent = frame.place;
    play.textContent = playing ? "Pause" : "Play";
    previous.setAttribute("aria-disabled", n === 0);
    next.setAttribute("aria-disabled", n === last);
    jump.setAttribute("aria-disabled", stop() < 0);
  }

  range.addEventListener("input", () => go(Number(range.value)));
  root.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    event.stopPropagation(); // the notebook's shortcuts are not for keys pressed in here
    const scrolls = event.target === twin || (event.target === picture && picture.scrollWidth > picture.clientWidth);
    if (!(event.key in STEP) || scrolls) return;
    event.preventDefault();
    go(at() + STEP[event.key]);
  });
  model.on("change:at", show);
  el.append(root);
  show();
  return () => {
    clearInterval(playing);
    model.off("change:at", show);
  };
}

export default { render };
