// What all of cowlab's widgets share. Everything is drawn from data; nothing is fetched.
function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

// "disabled" would drop the focus of whoever has just pressed the button, so a dead button only says so.
function button(text, act, attributes = {}) {
  const node = make("button", { type: "button", ...attributes }, text);
  node.addEventListener("click", () => node.getAttribute("aria-disabled") !== "true" && act());
  return node;
}

function widget(label, kind, ...children) {
  const root = make("section", { class: `cowlab-player ${kind}`, role: "group", "aria-label": label, "data-lm-suppress-shortcuts": "true" }, ...children);
  root.addEventListener("keydown", (event) => {
    if (!(event.altKey || event.ctrlKey || event.metaKey)) event.stopPropagation(); // the notebook's shortcuts are not for keys pressed in here
  });
  return root;
}

function picture(label) {
  return make("div", { class: "cowlab-picture", tabindex: 0, role: "group", "aria-label": label });
}

// The functions that ran, in order. The one in which this generation decides is bold and says so.
function walk(events) {
  const list = make("ol", { class: "cowlab-walk" });
  for (const [said, decides] of events) {
    const item = make("li", {}, said);
    if (decides) {
      item.classList.add("cowlab-decides");
      item.append(make("small", {}, make("b", {}, "Decides here. "), decides));
    }
    list.append(item);
  }
  return list;
}

function paragraphs(lines) {
  return lines.map((line) => make("p", {}, line));
}
