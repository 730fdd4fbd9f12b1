// The browser's camera, and pictures out of it or out of a file: JPEG as data URLs, small enough to be sent.
"use strict";

const LONGEST_PX = 1280;

class Webcam {
  constructor(video, veil) {
    this.video = video;
    this.veil = veil;
    this.ready = false;
  }

  // Ask for the camera; says why there is none. Browsers give it to pages over https or on this machine only.
  async start() {
    if (!navigator.mediaDevices?.getUserMedia) return this.say("webcam.insecure");
    try {
      const wanted = { width: { ideal: LONGEST_PX }, height: { ideal: 720 }, facingMode: "user" };
      this.video.srcObject = await navigator.mediaDevices.getUserMedia({ video: wanted, audio: false });
      await this.video.play();
    } catch (error) {
      return this.say(error.name === "NotAllowedError" ? "webcam.refused" : "webcam.none");
    }
    this.ready = true;
    this.veil.hidden = true;
  }

  stop() {
    for (const track of this.video.srcObject?.getTracks() ?? []) track.stop();
    this.ready = false;
  }

  say(key) {
    this.veil.textContent = text(key);
    this.veil.hidden = false;
  }

  still() {
    return shrunk(this.video, this.video.videoWidth, this.video.videoHeight);
  }
}

// A canvas with a picture (video frame or bitmap) of at most LONGEST_PX.
function shrunk(source, width, height) {
  const scale = Math.min(1, LONGEST_PX / Math.max(width, height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  canvas.getContext("2d").drawImage(source, 0, 0, canvas.width, canvas.height);
  return canvas;
}

// A photo out of a file, upright; null where the browser cannot read it.
async function photo(file) {
  try {
    const bitmap = await createImageBitmap(file, { imageOrientation: "from-image" });
    return shrunk(bitmap, bitmap.width, bitmap.height);
  } catch {
    return null;
  }
}

function dataUrl(canvas) {
  return canvas.toDataURL("image/jpeg", 0.92);
}

// What a POST of JSON was answered: {status, body}; status 0 where the device did not answer.
async function post(address, body) {
  try {
    const answer = await fetch(address, {
      method: "POST",
      headers: { "Content-Type": "application/json", Accept: "application/json" },
      body: JSON.stringify(body),
    });
    if (answer.status === 401) location.assign("/login");
    return { status: answer.status, body: await answer.json().catch(() => ({})) };
  } catch {
    return { status: 0, body: {} };
  }
}

// A sentence for people on what went wrong: ours for what is foreseen, else the device's own.
function trouble(answer) {
  const known = texts[`trouble.${answer.status}`];
  const line = Object.assign(document.createElement("p"), { className: "notice bad" });
  line.textContent = known ?? answer.body.error ?? text("trouble.other");
  if (!known && answer.body.error) line.lang = "en";
  return line;
}
