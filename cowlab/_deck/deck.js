/* A lesson as a deck. Nothing is fetched. With ?print-pdf at the end of its address it lies ready for the printer. */
(() => {
  const WIDTH = 1280, HEIGHT = 720, LARGEST = 27, SMALLEST = 17;  // pixels; of the text of a slide
  const LAYOUTS = ["", "beside", "tiles", "columns"];
  const printing = /print-pdf/.test(location.search);
  const all = (selector, inside = document) => [...inside.querySelectorAll(selector)];

  function element(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children);
    return made;
  }

  /* A trace is stored as a picture and a folded one for each further step, several traces side by side as a picture of
     each. Here it is a film strip: one frame at a time, by the keys that turn the slides, by its buttons, or by its
     slider. On paper all frames stand side by side. */
  function film(output) {
    const steps = all("details", output).filter((fold) =>
      /^(Start|Step)\b/.test(fold.querySelector("summary").textContent) && !fold.parentElement.closest("details"));
    if (!steps.length) return;
    const first = [...steps[0].parentElement.children].find((e) => e.tagName === "IMG");
    const named = (e) => e?.tagName === "P" && e.firstElementChild?.tagName === "B" && e.children.length === 1;
    const lead = [];  // the pictures that are not folded, each with its name above it and its caption below
    for (let e = named(first?.previousElementSibling) ? first.previousElementSibling : first; e && e !== steps[0];
      e = e.nextElementSibling) lead.push(e);
    const frames = steps.map((step) => {
      const title = step.querySelector("summary").textContent;
      const inside = [...step.children].filter((e) => e.tagName !== "SUMMARY");
      step.remove();
      return { title, inside: inside.some((e) => e.tagName === "IMG") ? inside : lead };
    });
    for (const e of all(":scope > p", output.querySelector(".cowlab-static") ?? output))
      if (!named(e) && !lead.includes(e)) e.remove();  // says beforehand what the film is about to show
    if (!/^Start/.test(frames[0].title)) frames.unshift({ title: "Start", inside: lead });
    const figures = frames.map(({ title, inside }) => {
      const figure = element("figure", {}, element("figcaption", {}, title));
      for (const e of inside) {
        if (named(e) || figure.children.length === 1) figure.append(element("div"));
        figure.lastElementChild.append(e);
      }
      return figure;
    });
    strip(output, figures);
  }

  function strip(output, frames) {
    const last = frames.length - 1;
    const marks = frames.slice(1).map(() => element("span", { class: "fragment mark" }));
    const slider = element("input", { type: "range", min: 0, max: last, value: 0, "aria-label": "Step" });
    const back = element("button", { type: "button" }, "Previous");
    const on = element("button", { type: "button" }, "Next");
    const place = element("output", { "aria-live": "polite" });
    output.append(element("div", { class: "film" },
      element("div", { class: "frames" }, ...frames),
      element("div", { class: "stepper" }, back, on, slider, place), ...marks));
    const show = () => {
      const at = marks.filter((mark) => mark.classList.contains("visible")).length;
      frames.forEach((frame, n) => frame.classList.toggle("shown", n === at));
      slider.value = at;
      back.setAttribute("aria-disabled", at === 0);
      on.setAttribute("aria-disabled", at === last);
      place.textContent = `${at} of ${last}`;
    };
    const go = (at) => {
      if (at < 0 || at > last) return;
      Reveal.navigateFragment(+marks[0].dataset.fragmentIndex - 1 + at);
      show();
    };
    back.addEventListener("click", () => go(+slider.value - 1));
    on.addEventListener("click", () => go(+slider.value + 1));
    slider.addEventListener("input", () => go(+slider.value));
    if (!printing) for (const event of ["fragmentshown", "fragmenthidden", "slidechanged", "ready"]) Reveal.on(event, show);
    show();
  }

  /* Set each slide as large as it fits: code above its output, or beside it, or pictures in two columns, or long text
     in two, if no line has to wrap; then pictures give way, and then the text. Measured before Reveal.js hides all slides but one. */
  function fit(section) {
    const long = all("pre.text", section).some((e) => e.textContent.split("\n").length > 24);
    const pictures = section.querySelector("img") ? [24, 21, 18, 16, 14, 12] : [12];
    for (let size = LARGEST; size >= SMALLEST; size -= 0.5)
      for (const layout of section.querySelector(".cell") ? LAYOUTS.slice(0, long ? 4 : 3) : [""])
        for (const picture of pictures) {
          section.className = layout;
          section.style.fontSize = `${size}px`;
          section.style.setProperty("--picture", `${picture}em`);
          const wide = layout && all("pre, .outputs > *", section).some((e) => e.scrollWidth > e.clientWidth + 1);
          if (!wide && section.scrollHeight <= HEIGHT && section.scrollWidth <= WIDTH) return;
        }
  }

  addEventListener("load", () => {
    const root = document.documentElement;
    root.classList.toggle("print-pdf", printing);
    all(".output").forEach(film);
    all(".output details").forEach((fold) => fold.remove());  // more words; they are in the notebook
    root.classList.add("measuring");
    all("section").forEach(fit);
    root.classList.remove("measuring");
    if (printing) return;  // deck.css sets one page a slide; Reveal.js's own way waits for frames that a printer never draws
    for (const button of all(".reveal-answer")) {
      const answer = button.closest(".question").querySelector(".answer");
      button.addEventListener("click", () => Reveal.navigateFragment(+answer.dataset.fragmentIndex));
    }
    Reveal.initialize({
      width: WIDTH, height: HEIGHT, margin: 0, center: false, hash: true, history: false, transition: "none",
      backgroundTransition: "none", slideNumber: "c/t", controls: true, progress: true, help: true,
      plugins: [RevealNotes],
    });
  });
})();
