// The game of cowlab/ui/playing.py. Python keeps the position: a move is a message, and the next view its answer.
function render({ model, el }) {
  const view = () => model.get("view");
  const send = (what, name) => model.send({ do: what, what: name });
  const select = (label, names, what) => {
    const box = make("select", {}, ...names.map((name) => make("option", { value: name }, name)));
    box.addEventListener("change", () => send(what, box.value));
    return [make("label", {}, `${label} `, box), box];
  };
  const [levelLabel, level] = select("Level", model.get("levels"), "level");
  const [kernelLabel, kernel] = select("Kernel", model.get("kernels"), "kernel");
  const undo = button("Take back", () => send("undo"));
  const again = button("Start again", () => send("restart"));
  const hint = button("Show the next move", () => send("hint"));
  const goal = make("p", { class: "cowlab-goal" });
  const about = make("p", { class: "cowlab-about" });
  const columns = make("div", { class: "cowlab-columns" });
  const live = make("div", { class: "cowlab-live cowlab-said", role: "status", "aria-live": "polite", "aria-atomic": "true" });
  const stage = picture("Picture");
  const inside = make("div", { class: "cowlab-inside", role: "group", "aria-label": "Inside the kernel" });
  const twin = make("pre", { tabindex: 0, "aria-label": "In words" });
  const root = widget("You are the scheduler", "cowlab-game",
    make("div", { class: "cowlab-bar" }, levelLabel, kernelLabel),
    goal, about, columns,
    make("div", { class: "cowlab-bar" }, undo, again, hint),
    live, stage, inside, make("details", {}, make("summary", {}, "In words"), twin));
  levelLabel.hidden = model.get("levels").length < 2;
  kernelLabel.hidden = model.get("kernels").length < 2;
  let drawn = ""; // which programs the columns show
  let steps = [];

  // The buttons of a level are made once and stay, so that the focus is not lost under whoever plays by keyboard.
  function lay(now) {
    steps = [];
    columns.replaceChildren(...now.columns.map((column) => {
      const list = make("ol");
      for (const step of column.steps) {
        const node = button(step.step, () => send("move", column.name));
        const mark = make("span", { class: "cowlab-taken" });
        list.append(make("li", {}, node, mark));
        steps.push([node, mark, column.name]);
      }
      return make("div", { role: "group", "aria-label": `Column ${column.name}` }, make("p", { class: "cowlab-name" }, column.name), list);
    }));
  }
  function show() {
    const now = view(), focused = steps.find(([node]) => node === document.activeElement || node.getRootNode().activeElement === node);
    const programs = JSON.stringify([now.level, now.columns.map((c) => [c.name, c.steps.map((s) => s.step)])]);
    if (drawn !== programs) {
      drawn = programs;
      lay(now);
    }
    root.setAttribute("aria-label", now.title);
    level.value = now.level;
    kernel.value = now.kernel;
    goal.replaceChildren(make("b", {}, "Goal: "), now.goal);
    about.textContent = now.about;
    now.columns.flatMap((c) => c.steps.map((s) => [s, c.name])).forEach(([step, name], n) => {
      const [node, mark] = steps[n];
      const can = step.next ? "can move" : step.move ? `move ${step.move}` : step.gone ? "never: the process is dead" : "not yet";
      node.setAttribute("aria-disabled", !step.next);
      node.setAttribute("aria-label", `${name}: ${step.step}, ${can}`);
      node.classList.toggle("cowlab-done", step.move > 0);
      node.classList.toggle("cowlab-gone", step.gone);
      mark.textContent = step.move ? `move ${step.move}` : step.gone ? "never" : "";
    });
    if (focused && focused[0].getAttribute("aria-disabled") === "true") {
      const free = steps.filter(([node]) => node.getAttribute("aria-disabled") === "false");
      ((free.find(([, , name]) => name === focused[2]) || free[0] || [undo])[0]).focus({ preventScroll: true });
    }
    const sign = now.won ? "cowlab-won" : now.shut && now.moves.length ? "cowlab-shut" : "";
    live.className = `cowlab-live cowlab-said ${sign}`;
    live.replaceChildren(make("p", { class: "cowlab-action" }, now.action), ...paragraphs([...now.says, now.standing, now.count, now.hint].filter(Boolean)));
    if (live.offsetHeight) live.style.minHeight = `${live.offsetHeight}px`; // what was needed once stays: the picture does not go up and down
    stage.innerHTML = now.svg;
    inside.replaceChildren(...(now.events.length ? [make("p", { class: "cowlab-name" }, "Inside the kernel"), walk(now.events)] : []));
    twin.textContent = now.text;
    undo.setAttribute("aria-disabled", now.moves.length === 0);
    again.setAttribute("aria-disabled", now.moves.length === 0);
    hint.setAttribute("aria-disabled", now.won);
  }
  model.on("change:view", show);
  el.append(root);
  show();
  return () => model.off("change:view", show);
}

export default { render };
