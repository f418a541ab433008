"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const all = (query, root = document) => [...root.querySelectorAll(query)];
  const SIDES = ["x", "y", "z"];
  const count = Object.fromEntries(SIDES.map((side) => [side, data.axes[side] ? data.axes[side].values.length : 1]));
  const at = { x: 0, y: 0, z: 0 };
  const chosen = { A: data.first[0], B: data.first[1] };
  const key = (place) => SIDES.map((side) => place[side]).join("-");
  const placeOf = (text) => Object.fromEntries(text.split("-").map((value, i) => [SIDES[i], Number(value)]));
  const picture = (name) => $("p-" + name);
  let view = "grid", way = "slider", edge = 50;

  const make = (tag, text) => { const made = document.createElement(tag); made.textContent = text; return made; };
  const facts = (list, pairs) => list.replaceChildren(...pairs.flatMap(([name, value]) => [make("dt", name), make("dd", value)]));
  const shown = (quantity, value) => value === null || value === undefined ? "–" : value.toFixed(quantity.digits);

  const sizeOf = (name) => {
    const source = picture(name);
    return source ? { width: Number(source.getAttribute("width")), height: Number(source.getAttribute("height")) } : null;
  };

  // One zoom for all pictures that are shown together, so that their sizes compare.
  function zoomFor(names, room) {
    const sizes = names.map(sizeOf).filter(Boolean);
    const asked = $("zoom").value;
    const zoom = asked === "fit" ? Math.min(...sizes.map((size) => Math.min(room.width / size.width, room.height / size.height))) : Number(asked);
    document.body.classList.toggle("pixels", asked !== "fit" && zoom >= 2);
    return zoom;
  }

  function display(image, name, zoom) {
    const source = picture(name), size = sizeOf(name);
    image.hidden = !source;
    if (!source) { image.removeAttribute("src"); return; }
    if (image.src !== source.src) image.src = source.src;
    image.alt = source.alt;
    image.style.width = Math.round(size.width * zoom) + "px";
    image.style.height = Math.round(size.height * zoom) + "px";
  }

  // What of the window is left below the place where the stage begins.
  const room = (stage, parts = 1) => ({
    width: Math.max(64, (stage.clientWidth - 24 - 12 * (parts - 1)) / parts),
    height: Math.max(300, window.innerHeight - (stage.getBoundingClientRect().top + window.scrollY) - 60),
  });

  function showPage() {
    all(".page").forEach((page) => { page.hidden = Number(page.dataset.z) !== at.z; });
    if ($("page")) $("page").value = String(at.z);
  }

  function showNumbers() {
    const quantity = data.quantities.find((each) => each.name === $("quantity").value);
    $("grid").classList.toggle("with-numbers", Boolean(quantity));
    const values = quantity ? Object.values(data.cells).map((cell) => cell.numbers[quantity.name]).filter((v) => v !== null) : [];
    const low = Math.min(...values), high = Math.max(...values);
    all("output.number").forEach((output) => {
      const value = quantity ? data.cells[output.dataset.at].numbers[quantity.name] : null;
      output.textContent = quantity ? shown(quantity, value) : "";
      const share = value === null || high <= low ? 0 : (value - low) / (high - low);
      output.style.background = quantity && value !== null ? `color-mix(in srgb, var(--accent) ${Math.round(6 + 34 * share)}%, transparent)` : "";
    });
    all(".page").forEach((page) => {
      const means = quantity ? data.means[quantity.name][Number(page.dataset.z)] : null;
      all("td[data-row]", page).forEach((cell) => { cell.textContent = means ? shown(quantity, means.rows[cell.dataset.row]) : ""; });
      all("td[data-column]", page).forEach((cell) => { cell.textContent = means ? shown(quantity, means.columns[cell.dataset.column]) : ""; });
      all("td[data-all]", page).forEach((cell) => { cell.textContent = means ? shown(quantity, means.page) : ""; });
    });
  }

  function showFlip() {
    const name = key(at), cell = data.cells[name];
    display($("flip-picture"), name, zoomFor([name], room($("flip-stage"))));
    $("flip-reason").hidden = Boolean(picture(name));
    $("flip-reason").textContent = cell.reason;
    SIDES.filter((side) => data.axes[side]).forEach((side) => {
      $("dial-" + side).value = at[side];
      $("dial-" + side).setAttribute("aria-valuetext", data.axes[side].values[at[side]]);
      $("value-" + side).textContent = data.axes[side].values[at[side]];
    });
    facts($("flip-numbers"), data.quantities.map((quantity) => [quantity.label, shown(quantity, cell.numbers[quantity.name])]));
    facts($("flip-settings"), cell.settings);
  }

  function showPair() {
    $("pair").dataset.way = way;
    const missing = ["A", "B"].filter((letter) => !picture(chosen[letter]));
    $("pair-reason").hidden = !missing.length;
    $("pair-reason").textContent = missing.map((letter) => `${letter}: ${data.cells[chosen[letter]].reason}`).join("  ");
    const [a, b] = [data.cells[chosen.A], data.cells[chosen.B]];
    // Each cell lists what has an effect on it: one may have a setting that the other lacks.
    const left = new Map(a.settings), right = new Map(b.settings);
    const rows = [...new Set([...left.keys(), ...right.keys()])]
      .map((name) => [name, left.get(name) ?? "–", right.get(name) ?? "–"]).filter(([, one, two]) => one !== two);
    if (!rows.length) rows.push(["nothing", "", ""]);
    $("differences").replaceChildren(...rows.map(([name, left, right]) => {
      const row = document.createElement("tr"), head = make("th", name);
      head.scope = "row";
      row.append(head, make("td", left), make("td", right));
      return row;
    }));
    const zoom = zoomFor([chosen.A, chosen.B], room($("pair"), way === "beside" ? 2 : 1));
    ["A", "B"].forEach((letter) => { display($("picture-" + letter), chosen[letter], zoom); $("pick-" + letter).value = chosen[letter]; });
    all("button[data-way]").forEach((tab) => tab.setAttribute("aria-selected", String(tab.dataset.way === way)));
    placeEdge();
    all(".cell button").forEach((button) => {
      const letters = ["A", "B"].filter((letter) => wasChosen && chosen[letter] === button.dataset.at).join("");
      if (letters) button.dataset.chosen = letters; else delete button.dataset.chosen;
    });
  }

  function placeEdge() {
    const image = $("picture-A").hidden ? $("picture-B") : $("picture-A"), handle = $("edge");
    $("pair").style.setProperty("--edge", edge + "%");
    const frame = image.parentElement;
    handle.style.left = frame.offsetLeft + (frame.offsetWidth * edge) / 100 + "px";
    handle.style.top = frame.offsetTop + "px";
    handle.style.height = frame.offsetHeight + "px";
    handle.setAttribute("aria-valuenow", String(Math.round(edge)));
  }

  function show(next) {
    view = next;
    ["grid", "flip", "compare"].forEach((name) => { $(name).hidden = name !== view; });
    all("[data-view]").forEach((tab) => tab.setAttribute("aria-selected", String(tab.dataset.view === view)));
    all(".for-grid").forEach((label) => { label.hidden = view !== "grid"; });
    all(".for-pictures").forEach((label) => { label.hidden = view === "grid"; });
    if (view === "flip") showFlip();
    if (view === "compare") showPair();
    if (view === "grid") showPage();
  }

  let wasChosen = false;
  function choose(letter, name) { wasChosen = true; chosen[letter] = name; showPair(); }

  function move(side, by) {
    const next = Math.min(Math.max(at[side] + by, 0), count[side] - 1);
    if (next === at[side]) return;
    at[side] = next;
    if (view === "flip") showFlip();
    else { showPage(); focusCell(); }
  }

  function focusCell() { document.querySelector(`.cell button[data-at="${key(at)}"]`).focus(); }

  const KEYS = { ArrowLeft: ["x", -1], ArrowRight: ["x", 1], ArrowUp: ["y", -1], ArrowDown: ["y", 1], PageUp: ["z", -1], PageDown: ["z", 1] };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const inControl = /^(SELECT|INPUT)$/.test(event.target.tagName);
    const isDial = event.target.tagName === "INPUT" && view === "flip";
    if (event.key === "Escape" && view !== "grid") { show("grid"); focusCell(); return; }
    if (view === "compare") return;
    if (KEYS[event.key] && (!inControl || isDial)) {
      const [side, by] = KEYS[event.key];
      if (side === "z" && count.z === 1) return;
      event.preventDefault();
      move(side, by);
    } else if (/^[ab]$/i.test(event.key) && !inControl) choose(event.key.toUpperCase(), key(at));
  });

  all(".cell button").forEach((button) => {
    button.addEventListener("focus", () => Object.assign(at, placeOf(button.dataset.at)));
    button.addEventListener("click", () => { Object.assign(at, placeOf(button.dataset.at)); show("flip"); });
  });
  all("[data-view]").forEach((tab) => tab.addEventListener("click", () => show(tab.dataset.view)));
  all("button[data-way]").forEach((tab) => tab.addEventListener("click", () => { way = tab.dataset.way; showPair(); }));
  all("[data-choose]").forEach((button) => button.addEventListener("click", () => { choose(button.dataset.choose, key(at)); show("compare"); }));
  SIDES.filter((side) => data.axes[side]).forEach((side) => $("dial-" + side).addEventListener("input", (event) => { at[side] = Number(event.target.value); showFlip(); }));
  if ($("page")) $("page").addEventListener("change", (event) => { at.z = Number(event.target.value); showPage(); });
  $("quantity").addEventListener("change", showNumbers);
  $("size").addEventListener("input", (event) => document.documentElement.style.setProperty("--size", event.target.value + "px"));
  const redraw = () => { if (view === "flip") showFlip(); if (view === "compare") showPair(); };
  $("zoom").addEventListener("change", redraw);
  window.addEventListener("resize", redraw);
  ["A", "B"].forEach((letter) => {
    $("pick-" + letter).replaceChildren(...Object.entries(data.cells).map(([name, cell]) => new Option(cell.label, name)));
    $("pick-" + letter).addEventListener("change", (event) => choose(letter, event.target.value));
  });
  $("swap").addEventListener("click", () => { [chosen.A, chosen.B] = [chosen.B, chosen.A]; showPair(); });

  const drag = (event) => {
    const box = $("picture-A").getBoundingClientRect();
    if (!box.width) return;
    edge = Math.min(Math.max(((event.clientX - box.left) / box.width) * 100, 0), 100);
    placeEdge();
  };
  $("pair").addEventListener("pointerdown", (event) => { if (way === "slider") { $("pair").setPointerCapture(event.pointerId); drag(event); } });
  $("pair").addEventListener("pointermove", (event) => { if (way === "slider" && event.buttons) drag(event); });
  $("edge").addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -2, ArrowRight: 2 }[event.key];
    if (by) { event.preventDefault(); edge = Math.min(Math.max(edge + by, 0), 100); placeEdge(); }
  });
  setInterval(() => { if (view === "compare" && way === "blink") $("pair").classList.toggle("even"); }, 600);

  const pictures = all(".cell img");
  const sides = pictures.map((image) => ["width", "height"].map((side) => Number(image.getAttribute(side))));
  const longest = Math.max(1, ...sides.flat());
  pictures.forEach((image, i) => image.style.setProperty("--share", String(sides[i][0] / longest)));
  const start = Math.round(Math.min(256, Math.max(96, (window.innerWidth - 260) / count.x - 8)) / 8) * 8;
  $("size").value = start;
  document.documentElement.style.setProperty("--size", start + "px");
  $("bar").hidden = false;
  all(".keys").forEach((hint) => { hint.hidden = false; });
  show("grid");
})();
