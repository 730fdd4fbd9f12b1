// The live view of one camera. It is asked for only while the page is looked at.
"use strict";

class LiveView {
  constructor(picture, veil, buttons) {
    this.picture = picture;
    this.veil = veil;
    this.buttons = buttons;
    this.camera = buttons[0].dataset.camera;
    this.retry = 0;
    for (const button of buttons) button.addEventListener("click", () => this.choose(button.dataset.camera));
    picture.addEventListener("load", () => this.say(""));
    picture.addEventListener("error", () => this.failed());
    document.addEventListener("visibilitychange", () => (document.hidden ? this.stop() : this.start()));
    if (!document.hidden) this.start();
  }

  choose(camera) {
    this.camera = camera;
    for (const button of this.buttons) button.setAttribute("aria-pressed", String(button.dataset.camera === camera));
    this.start();
  }

  start() {
    clearTimeout(this.retry);
    this.say(text("view.waiting"));
    this.picture.alt = text("view.alt", { camera: this.camera });
    this.picture.src = `/live/${encodeURIComponent(this.camera)}?at=${Date.now()}`;
  }

  stop() {
    clearTimeout(this.retry);
    this.picture.removeAttribute("src");
  }

  failed() {
    if (!this.picture.hasAttribute("src")) return;
    this.say(text("view.failed"));
    this.retry = setTimeout(() => this.start(), 5000);
  }

  say(sentence) {
    this.veil.textContent = sentence;
    this.veil.hidden = !sentence;
  }
}
