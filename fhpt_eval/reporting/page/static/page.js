"use strict";
// Puts pictures in their places, and lets tables be sorted, curves be read (uPlot draws them) and pictures be compared.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const by = (id) => document.getElementById(id);
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const say = (text) => { by("said").textContent = text; };
  const make = (tag, attributes = {}, ...inside) => {
    const made = Object.assign(document.createElement(tag), attributes);
    made.append(...inside);
    return made;
  };

  const image = (it) => it.index === null
    ? make("span", { className: "gone", textContent: it.why, role: "img", ariaLabel: `${it.alt}: ${it.why}` })
    : make("img", { src: data.pictures[it.index], alt: it.alt, width: it.width, height: it.height });
  for (const img of document.querySelectorAll("img[data-picture]")) {
    img.loading = "lazy";
    img.src = data.pictures[img.dataset.picture];
  }

  // Tables: a heading sorts by its column, best first, and the other way round when pressed again.
  for (const table of document.querySelectorAll("table.sortable")) {
    const headings = [...table.tHead.rows[0].cells];
    headings.forEach((heading, column) => heading.firstElementChild.addEventListener("click", () => {
      const sign = heading.ariaSort === "ascending" ? -1 : 1;
      const key = (row) => row.cells[column].dataset.key;
      const rows = [...table.tBodies[0].rows].sort((one, two) => {
        const [a, b] = [key(one), key(two)];
        if (a === "" || b === "") return (a === "") - (b === "");
        return sign * (column ? Number(a) - Number(b) : a.localeCompare(b));
      });
      table.tBodies[0].append(...rows);
      headings.forEach((other) => { other.ariaSort = "none"; });
      heading.ariaSort = sign > 0 ? "ascending" : "descending";
      say(`sorted by ${heading.textContent.trim()}`);
    }));
  }

  // Curves.
  const charts = [...(data.errors?.charts ?? []), ...(data.recalls?.charts ?? [])];
  const DASHES = { found: [5, 4], targets: [10, 5], source: [3, 3], chance: [1, 4] };
  const drawn = new Map();
  const stroke = (line) => () => colour(line.run < 0 ? "--control" : `--s${line.run % 7}`);

  const draw = (chart, withFound) => {
    const place = by(chart.id);
    const lines = chart.series.filter((line) => withFound || line.dash !== "found");
    const axis = (label, values) => ({
      label, values, labelSize: 20, labelGap: 0, labelFont: "12px system-ui", font: "12px system-ui", gap: 4,
      stroke: () => colour("--soft"), grid: { stroke: () => colour("--line"), width: 1 }, ticks: { show: false },
    });
    const mark = (u) => {
      if (!chart.mark) return;
      const [low, high] = chart.mark.map((at) => Math.min(at, chart.xs.at(-1)));
      const [left, right] = [low, high].map((at) => u.valToPos(at, "x", true));
      const { ctx, bbox } = u;
      ctx.save();
      ctx.fillStyle = colour("--control");
      ctx.globalAlpha = 0.8;
      const wide = Math.max(right - left, devicePixelRatio);
      for (let y = bbox.top; y < bbox.top + bbox.height; y += 6 * devicePixelRatio) {
        ctx.fillRect(left, y, wide, 3 * devicePixelRatio);
      }
      ctx.globalAlpha = 1;
      ctx.font = `${12 * devicePixelRatio}px system-ui`;
      const rightHalf = left > bbox.left + bbox.width / 2;
      ctx.textAlign = rightHalf ? "right" : "left";
      const beyond = chart.mark[0] > chart.xs.at(-1) ? " →" : "";
      const text = `α max = ${chart.mark.map((at) => +at.toFixed(1)).filter((at, i, all) => all.indexOf(at) === i).join("–")} px${beyond}`;
      ctx.fillText(text, left + (rightHalf ? -6 : 6) * devicePixelRatio, bbox.top + bbox.height - 8 * devicePixelRatio);
      ctx.restore();
    };
    drawn.get(chart.id)?.destroy();
    const u = new uPlot({
      width: place.clientWidth, height: 300,
      scales: { x: { time: false, range: chart.points ? [chart.xs[0] - 0.5, chart.xs.at(-1) + 0.5] : [chart.xs[0], chart.xs.at(-1)] }, y: { range: [0, 1.02] } },
      axes: [
        { ...axis(chart.x), size: 26, ...(chart.points ? { splits: () => chart.xs } : {}) },
        { ...axis(chart.y, (_, ticks) => ticks.map((tick) => tick.toFixed(1))), size: 36 },
      ],
      cursor: { drag: { x: false, y: false }, points: { size: 7, fill: (_, i) => stroke(lines[i - 1])() } },
      series: [
        { label: chart.x, value: (_, v) => (v === null ? "–" : `${+v.toFixed(2)} ${chart.unit}`) },
        ...lines.map((line) => ({
          label: line.note ? `${line.label} (${line.note})` : line.label,
          stroke: stroke(line), width: line.dash === "found" ? 1.25 : 2,
          dash: DASHES[line.dash] ?? (line.run > 6 ? [8, 3] : undefined),
          points: { show: Boolean(chart.points), size: 6, fill: () => colour("--paper") },
          value: (_, v) => (v === null || v === undefined ? "–" : v.toFixed(3)),
        })),
      ],
      legend: { markers: { fill: () => "transparent", dash: (_, i) => (lines[i - 1]?.dash || lines[i - 1]?.run > 6 ? (lines[i - 1].dash === "chance" ? "dotted" : "dashed") : "solid") } },
      hooks: { draw: [mark] },
    }, [chart.xs, ...lines.map((line) => line.values)], place);
    drawn.set(chart.id, u);
    u.over.addEventListener("mouseleave", () => requestAnimationFrame(() => read(chart)));
    requestAnimationFrame(() => read(chart));
  };
  // What is read while nothing is pointed at: at the mark, or at the end.
  const rest = (chart) => {
    const far = chart.mark ? chart.mark[0] : Infinity;
    return chart.xs.reduce((best, x, i) => (x <= far ? i : best), 0);
  };
  const at = new Map();
  const read = (chart) => {
    const u = drawn.get(chart.id);
    u.setCursor({ left: u.valToPos(chart.xs[at.get(chart.id) ?? rest(chart)], "x"), top: 0 });
  };
  for (const chart of charts) {
    draw(chart, false);
    const place = by(chart.id);
    new ResizeObserver(() => {
      const u = drawn.get(chart.id);
      if (place.clientWidth && u.width !== place.clientWidth) {
        u.setSize({ width: place.clientWidth, height: 300 });
        read(chart);
      }
    }).observe(place);
    place.addEventListener("keydown", (event) => {
      const last = chart.xs.length - 1;
      const here = at.get(chart.id) ?? rest(chart);
      const step = chart.points ? 1 : 4;
      const to = { ArrowRight: here + step, ArrowLeft: here - step, Home: 0, End: last }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      const index = Math.max(0, Math.min(last, to));
      at.set(chart.id, index);
      read(chart);
      const told = chart.series.filter((line) => line.dash !== "found").map((line) => `${line.label} ${line.values[index] ?? "none"}`);
      say(`${chart.x} ${+chart.xs[index].toFixed(2)}: ${told.join(", ")}`);
    });
  }
  by("found")?.addEventListener("change", (event) => charts.forEach((chart) => draw(chart, event.target.checked)));
  const redraw = () => drawn.forEach((u) => u.redraw(false));
  for (const query of ["(prefers-color-scheme: dark)", "print"]) matchMedia(query).addEventListener("change", redraw);

  // The gallery, and the slider between two of its pictures.
  const gallery = data.gallery;
  if (!gallery) return;
  const [metric, choice, rows, stage, share] = ["gallery-metric", "gallery-choice", "gallery-rows", "comparator-stage", "comparator-share"].map(by);
  const [pair, left, right] = ["comparator-pair", "comparator-left", "comparator-right"].map(by);
  const options = (select, labels) => select.replaceChildren(...labels.map((label, value) => make("option", { value, textContent: label })));
  const labels = ["source", "target", ...gallery.runs];
  const pictures = (id) => [gallery.rows[id].source, gallery.rows[id].target, ...gallery.rows[id].generated];

  const slide = () => {
    const over = stage.querySelector(".over");
    if (over) over.style.clipPath = `inset(0 ${100 - share.value}% 0 0)`;
    const edge = stage.querySelector(".edge");
    if (edge) edge.style.left = `${share.value}%`;
  };
  const compare = () => {
    const shown = pictures(pair.value);
    const [over, under] = [image(shown[left.value]), image(shown[right.value])];
    over.classList.add("over");
    stage.replaceChildren(under, over, make("span", { className: "edge" }));
    slide();
    for (const button of rows.querySelectorAll("button")) {
      const { id, which } = button.dataset;
      button.ariaPressed = String(id === pair.value && (which === left.value || which === right.value));
    }
  };
  const figure = (id, which, it, value, best) => {
    const button = make("button", { type: "button", ariaLabel: `compare ${it.alt}` }, image(it));
    Object.assign(button.dataset, { id, which });
    button.addEventListener("click", () => {
      pair.value = id;
      if (String(which) !== left.value) right.value = which;
      compare();
      say(`${labels[left.value]} and ${labels[right.value]} are compared`);
    });
    const caption = make("figcaption", {}, labels[which]);
    if (value !== undefined) caption.append(make("span", { className: best ? "best" : "", textContent: value ?? "–" }));
    return make("figure", {}, button, caption);
  };
  const show = () => {
    const told = gallery.metrics[metric.value];
    const ids = told.choices[choice.value].pairs.map(String);
    rows.replaceChildren(...ids.map((id) => {
      const values = told.values[id];
      const numbers = values.filter((value) => value !== null).map(Number);
      const best = numbers.length > 1 ? (told.better === "higher" ? Math.max : Math.min)(...numbers) : NaN;
      return make("div", { className: "pair" },
        make("h3", { textContent: gallery.rows[id].pair }),
        make("div", { className: "strip" }, ...pictures(id).map((it, which) =>
          figure(id, which, it, which < 2 ? undefined : values[which - 2], Number(values[which - 2]) === best))));
    }));
    pair.replaceChildren(...ids.map((id) => make("option", { value: id, textContent: gallery.rows[id].pair })));
    compare();
  };
  const choose = () => {
    const before = choice.selectedOptions[0]?.textContent;
    options(choice, gallery.metrics[metric.value].choices.map((each) => each.label));
    const same = [...choice.options].findIndex((option) => option.textContent === before);
    choice.value = Math.max(0, same);
    show();
  };
  options(left, labels);
  options(right, labels);
  [left.value, right.value] = [1, labels.length - 1];
  metric.addEventListener("change", choose);
  choice.addEventListener("change", show);
  [pair, left, right].forEach((select) => select.addEventListener("change", compare));
  share.addEventListener("input", slide);
  const drag = (event) => {
    if (event.type === "pointermove" && !event.buttons) return;
    const box = stage.getBoundingClientRect();
    share.value = Math.round(100 * (event.clientX - box.left) / box.width);
    slide();
  };
  stage.addEventListener("pointerdown", drag);
  stage.addEventListener("pointermove", drag);
  choose();
})();
