// Pictures: choosing one, making a version small enough for a card, and drawing a stand-in when there is none.

import { clearProblem, markField } from "./forms.js";
import { Problem } from "./service.js";

const MOST_BYTES = 5_000_000;
const MOST_PIXELS = 640;

const isPicture = (text) => typeof text === "string" && text.startsWith("data:image/");

export const initialOf = (name) => [...name.trim()][0]?.toUpperCase() ?? "?";

export function showPicture(img, url) {
  img.hidden = !isPicture(url);
  if (img.hidden) img.removeAttribute("src");
  else img.src = url;
}

/** Wires a picture field; `read` resolves to the chosen picture as `{Image, Image_Real}`, or to nothing, or rejects. */
export function createPictureField(root) {
  const input = root.querySelector("input");
  const clearButton = root.querySelector("[data-picture-clear]");
  let chosen = null;

  async function choose(file) {
    clearProblem(root);
    show(null);
    clearButton.hidden = !file;
    const mine = (chosen = file ? preparePicture(file) : null);
    try {
      const picture = await mine;
      if (chosen === mine) show(picture);
    } catch (problem) {
      if (chosen === mine) problem.errors.forEach((error) => markField(root, error));
    }
  }

  function show(picture) {
    showPicture(root.querySelector("img"), picture?.fields.Image);
    root.querySelector("[data-picture-note]").textContent = picture?.note ?? "";
  }

  function clear() {
    input.value = "";
    choose(null);
  }

  input.addEventListener("change", () => choose(input.files[0]));
  clearButton.addEventListener("click", clear);
  return { read: async () => (await chosen)?.fields, clear };
}

/** Keeps the file as it is, and makes a version small enough for a card. */
async function preparePicture(file) {
  if (file.size > MOST_BYTES) throw pictureProblem(`is too large: ${formatBytes(file.size)}; the limit is 5 MB`);
  const original = await readDataUrl(file);
  const image = await loadImage(original);
  const scaled = scaleDown(image, file.type);
  const size = `${formatBytes(file.size)}, ${image.naturalWidth} × ${image.naturalHeight}`;
  const note = scaled ? `${size}. Shown at ${formatBytes(scaled.length * 0.75)}; the original is kept.` : `${size}.`;
  return { fields: { Image: scaled ?? original, Image_Real: original }, note };
}

function pictureProblem(message) {
  return new Problem({ title: "The picture cannot be used", errors: [{ field: "Image", message }] });
}

function readDataUrl(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(pictureProblem("could not be read from this device"));
    reader.readAsDataURL(file);
  });
}

async function loadImage(url) {
  const image = new Image();
  if (isPicture(url)) image.src = url;
  await image.decode().catch(() => {
    throw pictureProblem("is not in a format that this browser can show: try JPEG, PNG or WebP");
  });
  return image;
}

/** A data URL of at most 640 px a side, or nothing when the picture is already that small. */
function scaleDown(image, type) {
  const factor = MOST_PIXELS / Math.max(image.naturalWidth, image.naturalHeight);
  if (!(factor < 1)) return null;
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(image.naturalWidth * factor));
  canvas.height = Math.max(1, Math.round(image.naturalHeight * factor));
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  // WebP keeps transparency; a browser that cannot write it makes a PNG.
  return canvas.toDataURL(type === "image/jpeg" ? type : "image/webp", 0.85);
}

function formatBytes(bytes) {
  return bytes < 1_000_000 ? `${Math.max(1, Math.round(bytes / 1000))} KB` : `${(bytes / 1_000_000).toFixed(1)} MB`;
}

/** The service requires a picture for every character: without one, the initial is drawn in a frame. */
export function drawInitial(name) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 320;
  const context = canvas.getContext("2d");
  const hue = 40 + 60 * ([...name].reduce((sum, character) => sum + character.codePointAt(0), 0) % 5);
  context.fillStyle = `hsl(${hue} 22% 82%)`;
  context.fillRect(0, 0, 320, 320);
  context.fillStyle = context.strokeStyle = `hsl(${hue} 38% 24%)`;
  for (const margin of [54.5, 60.5]) context.strokeRect(margin, margin, 320 - 2 * margin, 320 - 2 * margin);
  Object.assign(context, { font: "120px Palatino, Georgia, serif", textAlign: "center", textBaseline: "middle" });
  context.fillText(initialOf(name), 160, 168);
  const url = canvas.toDataURL();
  return { Image: url, Image_Real: url };
}
