// Draws strokes, sends the picture to /predict while they grow, one request at a time and model, and shows the answers.

const WIDTH = 20; // of a stroke, in pixels of the canvas; MNIST's are as wide in proportion
const STEP = 10; // pixels that an arrow key moves the pen
const $ = (id) => document.getElementById(id);
const [canvas, paper, picture, file, status] = ["canvas", "paper", "picture", "file", "status"].map($);
const context = canvas.getContext("2d");
const dark = matchMedia("(prefers-color-scheme: dark)");

let strokes = []; // of points [x, y]
let given = null; // the picture that was opened or dropped, in place of strokes
let drawing = null; // the stroke that grows: its points, and the pointer that draws it, undefined for the keyboard
let pen = null; // where the keyboard's pen is

function paint(on = context, inDark = dark.matches) {
  const [back, ink] = inDark ? ["#16181c", "#f0f0f0"] : ["#ffffff", "#1a1a1a"];
  on.fillStyle = back;
  on.fillRect(0, 0, canvas.width, canvas.height);
  Object.assign(on, { strokeStyle: ink, lineWidth: WIDTH, lineCap: "round", lineJoin: "round" });
  for (const stroke of strokes) {
    on.beginPath();
    on.moveTo(...stroke[0]);
    for (const point of stroke) on.lineTo(...point);
    on.stroke();
  }
}

function showPen() {
  if (!pen || document.activeElement !== canvas) return;
  Object.assign(context, { strokeStyle: "#d1495b", lineWidth: drawing ? 5 : 2 });
  context.beginPath();
  context.arc(...pen, WIDTH / 2 + 3, 0, 2 * Math.PI);
  context.stroke();
}

const panels = ["first", "second"].map((name) => {
  const panel = { chooser: $(name), answer: $(`${name}-answer`), busy: false, due: false };
  panel.chooser.addEventListener("change", () => ask(panel));
  return panel;
});

function changed() {
  paint();
  for (const panel of panels) ask(panel);
  showPen();
}

// Send the picture as it is now; while an answer is awaited, remember that another is due.
async function ask(panel) {
  if (panel.busy) { panel.due = true; return; }
  panel.busy = true;
  do {
    panel.due = false;
    const model = panel.chooser.value;
    if (!model || (!given && !strokes.length)) {
      panel.answer.replaceChildren();
      if (!given && !strokes.length) status.textContent = "";
      continue;
    }
    try {
      const body = given ?? await drawn();
      const response = await fetch(`predict?model=${encodeURIComponent(model)}`, { method: "POST", body });
      const found = await response.json();
      if (panel.due && !drawing) continue; // while a stroke grows, the bars move with it, a step behind
      if (response.ok) show(panel, found);
      else { panel.answer.replaceChildren(); status.textContent = found.detail; }
    } catch {
      status.textContent = "The server does not answer; is it still running?";
    }
  } while (panel.due);
  panel.busy = false;
}

// The strokes as PNG, dark on light whatever the page's colours, so a model is given the same by all.
function drawn() {
  const sent = Object.assign(document.createElement("canvas"), { width: canvas.width, height: canvas.height });
  paint(sent.getContext("2d"), false);
  return new Promise((resolve) => sent.toBlob(resolve));
}

function show(panel, found) {
  if (!panel.answer.firstChild) panel.answer.append($("answer").content.cloneNode(true));
  const of = (selector) => panel.answer.querySelector(selector);
  const percent = (share) => `${(100 * share).toFixed(1)} %`;
  of("output").textContent = found.predicted;
  of(".probability").textContent = percent(found.probability) + (found.unsure ? ", unsure" : "");
  of(".probability").classList.toggle("unsure", found.unsure);
  of("code").textContent = found.fingerprint;
  pixels(of("canvas"), found.image);
  const rows = Object.entries(found.probabilities).map(([name, share]) => {
    const row = document.createElement("tr");
    row.classList.toggle("best", name === found.predicted);
    const bar = Object.assign(document.createElement("meter"), { value: share });
    bar.setAttribute("aria-label", name);
    const cells = [["th", name], ["td", bar], ["td", percent(share)]].map(([tag, content]) => {
      const cell = document.createElement(tag);
      cell.append(content);
      return cell;
    });
    cells[0].scope = "row";
    row.append(...cells);
    return row;
  });
  of("tbody").replaceChildren(...rows);
  if (panel === panels[0]) status.textContent = `${found.predicted}, ${percent(found.probability)}`;
  document.dispatchEvent(new CustomEvent("answered"));
}

function pixels(canvas, image) {
  [canvas.height, canvas.width] = [image.length, image[0].length];
  const shown = canvas.getContext("2d").createImageData(canvas.width, canvas.height);
  image.flat().forEach((value, k) => { // a shade, or red, green and blue
    const [red, green, blue] = value.length ? value : [value, value, value];
    shown.data.set([red, green, blue, 255], 4 * k);
  });
  canvas.getContext("2d").putImageData(shown, 0, 0);
}

function take(chosen) {
  if (!chosen) return;
  [given, strokes, drawing] = [chosen, [], null];
  URL.revokeObjectURL(picture.src);
  picture.src = URL.createObjectURL(chosen);
  picture.hidden = false;
  changed();
}

function clear() {
  [given, strokes, drawing, pen] = [null, [], null, null];
  picture.hidden = true;
  file.value = "";
  changed();
}

function undo() {
  if (given) { clear(); return; }
  drawing = null;
  strokes.pop();
  changed();
}

function begin(point, pointer) {
  const kept = pen;
  if (given) clear();
  pen = kept;
  drawing = { points: [point], pointer };
  strokes.push(drawing.points);
  changed();
}

function at(event) {
  const box = canvas.getBoundingClientRect();
  return [(event.clientX - box.left) * canvas.width / box.width, (event.clientY - box.top) * canvas.height / box.height];
}

paper.addEventListener("pointerdown", (event) => {
  if (event.button !== 0 || drawing?.pointer !== undefined) return; // a second finger is not for drawing
  event.preventDefault();
  canvas.focus({ preventScroll: true });
  pen = null;
  begin(at(event), event.pointerId);
  canvas.setPointerCapture(event.pointerId);
});
canvas.addEventListener("pointermove", (event) => {
  if (drawing?.pointer !== event.pointerId) return;
  for (const each of event.getCoalescedEvents?.() ?? [event]) drawing.points.push(at(each));
  changed();
});
for (const end of ["pointerup", "pointercancel"]) {
  canvas.addEventListener(end, (event) => { if (drawing?.pointer === event.pointerId) drawing = null; });
}

canvas.addEventListener("keydown", (event) => {
  const [x, y] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key] ?? [0, 0];
  if (!(x || y || event.key === " ")) return;
  event.preventDefault();
  if (drawing?.pointer !== undefined) return;
  pen ??= [canvas.width / 2, canvas.height / 2];
  const inside = (value) => Math.min(canvas.width - WIDTH, Math.max(WIDTH, value));
  pen = [inside(pen[0] + STEP * x), inside(pen[1] + STEP * y)];
  if (event.key === " ") {
    if (drawing) { drawing = null; status.textContent = "pen lifted"; } else begin(pen);
  } else if (drawing) {
    drawing.points.push(pen);
  }
  changed();
});
for (const event of ["focus", "blur"]) canvas.addEventListener(event, () => { paint(); showPen(); });
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") clear();
  if (event.key === "z" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); undo(); }
});

$("undo").addEventListener("click", undo);
$("clear").addEventListener("click", clear);
$("open").addEventListener("click", () => file.click());
file.addEventListener("change", () => take(file.files[0]));
for (const event of ["dragover", "dragleave", "drop"]) {
  paper.addEventListener(event, (dropped) => {
    dropped.preventDefault();
    paper.classList.toggle("over", event === "dragover");
    if (event === "drop") take(dropped.dataTransfer.files[0]);
  });
}
document.addEventListener("paste", (event) => take(event.clipboardData.files[0]));
dark.addEventListener("change", changed);

async function fill() {
  const models = await (await fetch("models")).json();
  for (const { chooser } of panels) {
    for (const { name, model } of models) chooser.add(new Option(name, model));
  }
}

paint();
await fill();
