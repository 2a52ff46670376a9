// The table of cowlab/ui/tabling.py: some cells are to be filled in. What was typed goes to Python when it is recorded.
function render({ model, el }) {
  const inputs = new Map();
  const body = make("tbody");
  for (const [name, cells] of model.get("rows")) {
    const row = make("tr", {}, make("th", { scope: "row" }, name));
    cells.forEach((cell, n) => {
      const place = make("td", {}, cell.text || "");
      if (cell.ask) {
        const label = `${name}: ${model.get("head")[n]}`;
        const input = cell.options.length
          ? make("select", { "aria-label": label }, make("option", { value: "" }, "?"), ...cell.options.map((o) => make("option", { value: o }, o)))
          : make("input", { "aria-label": label, type: "text", size: 4, autocomplete: "off", placeholder: "?" });
        const sign = make("span", { class: "cowlab-sign" });
        input.addEventListener("input", () => mark(input, sign, undefined));
        inputs.set(cell.ask, [input, sign]);
        place.append(input, sign);
      }
      row.append(place);
    });
    body.append(row);
  }
  const head = make("tr", {}, make("td"), ...model.get("head").map((name) => make("th", { scope: "col" }, name)));
  const send = make("button", { type: "submit" }, "Record my prediction");
  const unsure = button("I do not know", () => model.send({ answer: {} }));
  const said = make("div", { class: "cowlab-live cowlab-said", role: "status", "aria-live": "polite" });
  const stage = picture("Picture before the step");
  const form = make("form", {}, make("div", { class: "cowlab-fill", tabindex: 0, role: "group", "aria-label": "Table" },
    make("table", {}, make("caption", {}, model.get("caption")), make("thead", {}, head), body)),
    make("div", { class: "cowlab-bar" }, send, unsure), said);
  const root = widget("Predict, then look", "cowlab-predict", ...paragraphs(model.get("prompt")), stage, form);
  stage.innerHTML = model.get("svg");

  function mark(input, sign, right) {
    if (right === undefined) input.removeAttribute("aria-invalid");
    else input.setAttribute("aria-invalid", !right);
    sign.textContent = right === undefined ? "" : right ? "✓ so" : "✗ not so";
  }
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const typed = Object.fromEntries([...inputs].map(([name, [input]]) => [name, input.value]));
    if (Object.values(typed).some(Boolean)) model.send({ answer: typed });
    else said.replaceChildren(...paragraphs(["Nothing is recorded yet: fill in a cell, or say that you do not know."]));
  });
  function show() {
    const marks = model.get("marks");
    for (const [name, [input, sign]] of inputs) mark(input, sign, marks[name]);
    said.replaceChildren(...paragraphs(model.get("said")));
  }
  model.on("change:said", show);
  el.append(root);
  show();
  return () => model.off("change:said", show);
}

export default { render };
