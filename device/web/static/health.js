// How the device is: the pill, its cameras, what is wrong, its figures.
"use strict";

const STATUS_MS = 5000;
const UNITS = [
  ["fps", (value) => decimal.format(value)],
  ["inference_ms", (value) => `${decimal.format(value)} ms`],
  ["memory_mb", (value) => `${decimal.format(value)} MB`],
  ["temperature_c", (value) => `${decimal.format(value)} °C`],
  ["queue", (value) => decimal.format(value)],
  ["uptime_s", (value) => duration(value)],
];

// The JSON at an address; null where the device did not answer. A session that has ended leads to the login.
async function ask(address) {
  try {
    const answer = await fetch(address, { headers: { Accept: "application/json" }, cache: "no-store" });
    if (answer.status === 401) location.assign("/login");
    return answer.ok ? await answer.json() : null;
  } catch {
    return null;
  }
}

function sayHealth(kind, key) {
  const pill = document.getElementById("health");
  pill.className = `pill ${kind}`;
  if (pill.textContent !== text(key)) pill.textContent = text(key);
}

function showCameras(cameras) {
  const items = cameras.map((camera) => {
    const item = document.createElement("li");
    item.className = ["ok", "starting", "ended"].includes(camera.state) ? "good" : "bad";
    item.textContent = `${camera.camera}: ${texts[`camera.${camera.state}`] ?? camera.state}`;
    if (camera.message) {
      const message = document.createElement("span");
      message.className = "quiet";
      message.lang = "en";
      message.textContent = camera.message;
      item.append(message);
    }
    return item;
  });
  document.getElementById("cameras").replaceChildren(...items);
}

// What the device says is wrong, in its own words.
function showTroubles(sentences) {
  const items = sentences.map((sentence) => Object.assign(document.createElement("li"), { textContent: sentence, className: "bad", lang: "en" }));
  document.getElementById("troubles").replaceChildren(...items);
}

function showFacts(status) {
  const facts = UNITS.filter(([key]) => typeof status[key] === "number").map(([key, show]) => [text(`facts.${key}`), show(status[key])]);
  if (status.mqtt) facts.push([text("facts.mqtt"), texts[`mqtt.${status.mqtt.state}`] ?? status.mqtt.state]);
  const boxes = facts.map(([name, value]) => {
    const box = document.createElement("div");
    box.append(Object.assign(document.createElement("dt"), { textContent: name }));
    box.append(Object.assign(document.createElement("dd"), { textContent: value }));
    return box;
  });
  document.getElementById("facts").replaceChildren(...boxes);
}

async function showStatus() {
  showHealth(await ask("/api/status"));
}

// The status as the page shows it; null where the device did not answer.
function showHealth(status) {
  if (!status) return sayHealth("bad", "health.away");
  const cameras = status.cameras ?? [];
  const troubled = cameras.some((camera) => !["ok", "starting", "ended"].includes(camera.state));
  const unsent = status.mqtt && !["connected", "off"].includes(status.mqtt.state);
  const unkept = status.storage && status.storage.state !== "ok";
  const trouble = status.door?.fault ? "health.door" : troubled ? "health.camera" : unkept ? "health.storage" : unsent ? "health.mqtt" : "";
  sayHealth(trouble ? "bad" : "good", trouble || "health.good");
  showCameras(cameras);
  // That liveness is off is said in large letters elsewhere.
  const warnings = (status.door?.warnings ?? []).filter((warning) => !warning.startsWith("door.liveness"));
  showTroubles([status.mqtt?.message, status.storage?.message, ...warnings].filter(Boolean));
  showFacts(status);
}
