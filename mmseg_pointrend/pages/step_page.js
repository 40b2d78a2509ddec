"use strict";
// The maps come as images, one for each step: red is the label, green the next best class, blue by
// how many percent the label is more probable.

const data = JSON.parse(document.getElementById("data").textContent);
const { width, height, classes, palette, steps } = data;
const element = (id) => document.getElementById(id);
const canvas = element("canvas");
const POINT = "#ffe94d", RIGHT = [40, 200, 90], WRONG = [235, 50, 50], CHANGED = [255, 47, 208];
const MOST_SCALE = 64;

// ---- what is there -----------------------------------------------------------------------------

async function load(url) {
  const image = new Image();
  image.src = url;
  await image.decode();
  const copy = new OffscreenCanvas(width, height);
  const context = copy.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0, width, height);
  return context.getImageData(0, 0, width, height).data;
}

function pointsOf(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return new Float32Array(bytes.buffer);
}

const stepName = (number) => (number ? `step ${number}` : "coarse map");

// ---- what is shown -----------------------------------------------------------------------------

const state = {
  step: steps.length - 1, left: "0", wipe: 0.5, scale: 1, x: 0, y: 0, pixel: null, fitted: true,
};
let picture, truth = null;
const maps = steps.map(() => null), points = steps.map((step) => pointsOf(step.points));
const sides = { left: null, right: null };

const isRight = (place, label) => truth[4 * place] === label;
const isKnown = (place) => truth !== null && truth[4 * place + 1] > 127;

/** Paint one side of the wipe, as large as the picture. */
function paint(map, before) {
  const image = new ImageData(new Uint8ClampedArray(picture), width, height), out = image.data;
  const opacity = element("show-classes").checked ? element("opacity").value / 100 : 0;
  const showsMargin = element("show-margin").checked && map !== null && map !== truth;
  const showsChanges = element("show-changes").checked && before !== null;
  for (let place = 0, at = 0; place < width * height; place++, at += 4) {
    if (map !== null && opacity > 0 && (map !== truth || isKnown(place))) {
      const color = palette[map[at]];
      for (let c = 0; c < 3; c++) out[at + c] += opacity * (color[c] - out[at + c]);
    }
    if (showsMargin) {
      // White where both classes are as likely, black where there is no doubt.
      const doubt = 255 - 2.55 * map[at + 2];
      out[at] = out[at + 1] = out[at + 2] = doubt;
    }
    if (showsChanges && map[at] !== before[at]) {
      let color = CHANGED;
      if (isKnown(place)) {
        if (isRight(place, map[at])) color = RIGHT;
        else if (isRight(place, before[at])) color = WRONG;
      }
      for (let c = 0; c < 3; c++) out[at + c] = color[c];
    }
  }
  const copy = new OffscreenCanvas(width, height);
  copy.getContext("2d").putImageData(image, 0, 0);
  return copy;
}

/** What lies left of the wipe: its map and a name. */
function leftMap() {
  if (state.left === "picture") return [null, "picture"];
  if (state.left === "truth") return [truth, "truth"];
  const number = state.left === "before" ? Math.max(0, state.step - 1) : Number(state.left);
  return [maps[number], stepName(number)];
}

function repaint() {
  const [map, name] = leftMap();
  const { step } = state;
  sides.left = paint(map, null);
  sides.right = paint(maps[step], step ? maps[step - 1] : null);
  element("left-name").textContent = name;
  element("right-name").textContent = stepName(step);
  element("step-name").textContent = `${step} of ${steps.length - 1}${step ? "" : ": coarse map"}`;
  for (const row of element("numbers").querySelectorAll("tbody tr"))
    row.setAttribute("aria-current", String(Number(row.dataset.step) === step));
  canvas.setAttribute("aria-label", `${data.name}: left ${name}, right ${stepName(step)}`);
  draw();
  readPixel();
}

function draw() {
  if (sides.left === null) return;
  const ratio = canvas.width / canvas.clientWidth || 1;
  const context = canvas.getContext("2d");
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, canvas.width, canvas.height);
  const scale = state.scale * ratio, border = state.wipe * canvas.width;
  const place = [-state.x * scale, -state.y * scale, width * scale, height * scale];
  context.imageSmoothingEnabled = scale < 1;
  for (const [name, from, to] of [["left", 0, border], ["right", border, canvas.width]]) {
    context.save();
    context.beginPath();
    context.rect(from, 0, to - from, canvas.height);
    context.clip();
    context.drawImage(sides[name], ...place);
    if (name === "right" && element("show-points").checked) drawPoints(context, scale);
    context.restore();
  }
  context.fillStyle = "#ffffff";
  context.fillRect(border - ratio, 0, 2 * ratio, canvas.height);
  if (state.pixel) {
    const [x, y] = state.pixel, side = Math.max(scale, 5 * ratio);
    const left = (x + 0.5 - state.x) * scale - side / 2, top = (y + 0.5 - state.y) * scale - side / 2;
    context.lineWidth = 3 * ratio;
    context.strokeStyle = "#000000";
    context.strokeRect(left, top, side, side);
    context.lineWidth = ratio;
    context.strokeStyle = "#ffffff";
    context.strokeRect(left, top, side, side);
  }
  element("scale").textContent = `${Math.round(100 * state.scale)} %`;
}

function drawPoints(context, scale) {
  const ratio = window.devicePixelRatio || 1, found = points[state.step];
  const side = Math.min(Math.max(0.4 * scale, 2 * ratio), 8 * ratio);
  // The dark border first: where points lie close, none covers another.
  for (const [color, size] of [["#000000", side + 1.5 * ratio], [POINT, side]]) {
    context.fillStyle = color;
    for (let at = 0; at < found.length; at += 2)
      context.fillRect(
        (found[at] - state.x) * scale - size / 2, (found[at + 1] - state.y) * scale - size / 2, size, size,
      );
  }
}

// ---- the numbers -------------------------------------------------------------------------------

function cell(row, text, kind = "td") {
  const made = document.createElement(kind);
  made.textContent = text;
  if (kind === "th") made.scope = row.parentNode.tagName === "THEAD" ? "col" : "row";
  row.append(made);
  return made;
}

const percent = (share) => (share === null ? "–" : `${(100 * share).toFixed(2)} %`);

function listSteps() {
  const table = element("numbers"), known = data.truth !== null;
  const titles = ["Map", "Points", "Changed pixels"];
  if (known) titles.push("Became right", "Became wrong", "Right", "Right within 2 px", "Mean IoU");
  const head = table.createTHead().insertRow();
  for (const title of titles) cell(head, title, "th");
  const body = table.createTBody();
  steps.forEach((step, number) => {
    const row = body.insertRow();
    row.dataset.step = number;
    cell(row, stepName(number), "th");
    cell(row, (points[number].length / 2).toLocaleString("en"));
    cell(row, step.changed.toLocaleString("en"));
    if (!known) return;
    cell(row, step.corrected.toLocaleString("en"));
    cell(row, step.spoiled.toLocaleString("en"));
    for (const name of ["right", "right_near", "mean_iou"]) cell(row, percent(step[name]));
  });
  element("numbers-note").textContent = known
    ? "“Within 2 px”: of the pixels at most 2 px from a true boundary. Mean IoU: of the classes in this picture."
    : "Without a truth nothing is said about right and wrong.";
}

function listClasses() {
  const seen = new Uint8Array(256);
  for (const map of maps) for (let at = 0; at < map.length; at += 4) seen[map[at]] = 1;
  for (let place = 0; truth !== null && place < width * height; place++)
    if (isKnown(place)) seen[truth[4 * place]] = 1;
  classes.forEach((name, label) => {
    if (!seen[label]) return;
    const item = document.createElement("li"), swatch = document.createElement("span");
    swatch.className = "swatch";
    swatch.style.background = `rgb(${palette[label].join(",")})`;
    item.append(swatch, name);
    element("legend").append(item);
  });
}

function readPixel() {
  const body = element("pixel");
  body.replaceChildren();
  if (!state.pixel) {
    element("pixel-place").textContent = "Point at the picture, or move with the arrow keys.";
    return;
  }
  const [x, y] = state.pixel, place = y * width + x, at = 4 * place;
  let text = `x ${x}, y ${y}`;
  if (truth !== null) text += `, truth: ${isKnown(place) ? classes[truth[at]] : "unknown"}`;
  element("pixel-place").textContent = text;
  const shown = new Set([0, Math.max(0, state.step - 1), state.step]);
  for (const number of [...shown].sort((one, other) => one - other)) {
    const row = body.insertRow(), map = maps[number];
    cell(row, stepName(number), "th");
    cell(row, map === null ? "…" : classes[map[at]]);
    cell(row, map === null || classes.length < 2 ? "–" : classes[map[at + 1]]);
    cell(row, map === null ? "…" : `${map[at + 2]} %`);
  }
}

// ---- what is done ------------------------------------------------------------------------------

function keepInside() {
  const across = canvas.clientWidth / state.scale, down = canvas.clientHeight / state.scale;
  const inside = (value, side, seen) =>
    seen >= side ? (side - seen) / 2 : Math.min(Math.max(value, 0), side - seen);
  state.x = inside(state.x, width, across);
  state.y = inside(state.y, height, down);
}

const fittingScale = () => Math.min(canvas.clientWidth / width, canvas.clientHeight / height);

function zoomTo(scale, x = canvas.clientWidth / 2, y = canvas.clientHeight / 2) {
  const least = fittingScale(), before = state.scale;
  state.scale = Math.min(Math.max(scale, least), Math.max(MOST_SCALE, least));
  state.fitted = state.scale === least;
  state.x += x / before - x / state.scale;
  state.y += y / before - y / state.scale;
  keepInside();
  draw();
}

function resize() {
  const ratio = window.devicePixelRatio || 1, across = canvas.clientWidth;
  const down = Math.round(Math.min((across * height) / width, 0.8 * window.innerHeight));
  canvas.style.height = `${down}px`;
  canvas.width = Math.round(across * ratio);
  canvas.height = Math.round(down * ratio);
  if (state.fitted) state.scale = fittingScale();
  keepInside();
  draw();
}

function setStep(number) {
  state.step = Math.min(Math.max(number, 0), steps.length - 1);
  element("step").value = state.step;
  repaint();
}

function setWipe(share) {
  state.wipe = Math.min(Math.max(share, 0), 1);
  element("wipe").value = Math.round(100 * state.wipe);
  draw();
}

function choosePixel(x, y) {
  const limit = (value, side) => Math.min(Math.max(Math.floor(value), 0), side - 1);
  state.pixel = [limit(x, width), limit(y, height)];
  draw();
  readPixel();
}

/** Move the chosen pixel; the picture follows where it would leave it. */
function movePixel(right, down) {
  const across = canvas.clientWidth / state.scale, tall = canvas.clientHeight / state.scale;
  const [x, y] = state.pixel ?? [state.x + across / 2 - right, state.y + tall / 2 - down];
  choosePixel(x + right, y + down);
  const [column, row] = state.pixel;
  if (column < state.x || column >= state.x + across) state.x = column - across / 2;
  if (row < state.y || row >= state.y + tall) state.y = row - tall / 2;
  keepInside();
  draw();
}

function movePicture(right, down) {
  state.x += (right * 0.1 * canvas.clientWidth) / state.scale;
  state.y += (down * 0.1 * canvas.clientHeight) / state.scale;
  keepInside();
  draw();
}

const KEYS = {
  ",": () => setStep(state.step - 1),
  ".": () => setStep(state.step + 1),
  "[": () => setWipe(state.wipe - 0.05),
  "]": () => setWipe(state.wipe + 0.05),
  "+": () => zoomTo(state.scale * 1.5),
  "=": () => zoomTo(state.scale * 1.5),
  "-": () => zoomTo(state.scale / 1.5),
  "0": () => zoomTo(0),
};
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const arrow = ARROWS[event.key], action = KEYS[event.key];
  if (!arrow && !action) return;
  event.preventDefault();
  if (action) action();
  else if (event.shiftKey) movePicture(...arrow);
  else movePixel(...arrow);
}

const pointers = new Map();
let dragged = null;

const placeOf = (event) => {
  const box = canvas.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
};

function onDown(event) {
  canvas.setPointerCapture(event.pointerId);
  const [x, y] = placeOf(event);
  pointers.set(event.pointerId, [x, y]);
  const atWipe = Math.abs(x - state.wipe * canvas.clientWidth) < (event.pointerType === "mouse" ? 8 : 20);
  dragged = pointers.size > 1 ? "zoom" : atWipe ? "wipe" : "picture";
}

function onMove(event) {
  const [x, y] = placeOf(event), before = pointers.get(event.pointerId);
  if (!before) {
    canvas.style.cursor = Math.abs(x - state.wipe * canvas.clientWidth) < 8 ? "ew-resize" : "crosshair";
    choosePixel(state.x + x / state.scale, state.y + y / state.scale);
    return;
  }
  const others = [...pointers].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
  pointers.set(event.pointerId, [x, y]);
  if (dragged === "wipe") setWipe(x / canvas.clientWidth);
  else if (dragged === "zoom" && others.length) {
    const [[u, v]] = others;
    const was = Math.hypot(before[0] - u, before[1] - v), is = Math.hypot(x - u, y - v);
    if (was > 0) zoomTo((state.scale * is) / was, (x + u) / 2, (y + v) / 2);
  } else {
    state.x += (before[0] - x) / state.scale;
    state.y += (before[1] - y) / state.scale;
    keepInside();
    draw();
  }
}

function onUp(event) {
  pointers.delete(event.pointerId);
  if (!pointers.size) dragged = null;
  if (event.type === "pointerup" && event.pointerType !== "mouse") {
    const [x, y] = placeOf(event);
    choosePixel(state.x + x / state.scale, state.y + y / state.scale);
  }
}

function connect() {
  element("step").max = steps.length - 1;
  element("step").addEventListener("input", (event) => setStep(Number(event.target.value)));
  element("wipe").addEventListener("input", (event) => setWipe(event.target.value / 100));
  const left = element("left");
  const choices = [["0", "coarse map"], ["before", "the step before"], ["picture", "picture alone"]];
  if (data.truth !== null) choices.push(["truth", "truth"]);
  for (const [value, text] of choices) left.add(new Option(text, value));
  left.addEventListener("change", () => { state.left = left.value; repaint(); });
  for (const id of ["show-classes", "show-changes", "show-margin", "opacity"])
    element(id).addEventListener("input", repaint);
  element("show-points").addEventListener("input", draw);
  element("zoom-in").addEventListener("click", () => zoomTo(state.scale * 1.5));
  element("zoom-out").addEventListener("click", () => zoomTo(state.scale / 1.5));
  element("fit").addEventListener("click", () => zoomTo(0));
  element("pixels").addEventListener("click", () => zoomTo(16));
  canvas.addEventListener("keydown", onKey);
  canvas.addEventListener("pointerdown", onDown);
  canvas.addEventListener("pointermove", onMove);
  for (const kind of ["pointerup", "pointercancel"]) canvas.addEventListener(kind, onUp);
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoomTo(state.scale * Math.exp(-event.deltaY / 300), ...placeOf(event));
  }, { passive: false });
  window.addEventListener("resize", resize);
}

/** Show the first and the last map as soon as they are there, then read the others. */
async function start() {
  connect();
  listSteps();
  const read = async (number) => { maps[number] = await load(steps[number].maps); };
  await Promise.all([
    load(data.picture).then((found) => { picture = found; }),
    ...[...new Set([0, state.step])].map(read),
  ]);
  resize();
  setStep(state.step);
  document.body.dataset.shown = "true";
  await Promise.all(steps.map((_, number) => (maps[number] === null ? read(number) : null)));
  if (data.truth !== null) truth = await load(data.truth);
  element("step").disabled = element("left").disabled = false;
  listClasses();
  repaint();
  document.body.dataset.ready = "true";
}

start();
