// Puts the page together and keeps it up to date. Nothing is asked for while nobody looks.
"use strict";

class Page {
  constructor() {
    this.events = new EventList();
    this.live = new LiveView(document.getElementById("live"), document.getElementById("veil"), document.querySelectorAll("[data-camera]"));
    this.stream = null;
    this.timer = 0;
    document.addEventListener("visibilitychange", () => (document.hidden ? this.sleep() : this.wake()));
    if (!document.hidden) this.wake();
  }

  wake() {
    this.sleep();
    showStatus();
    this.timer = setInterval(showStatus, STATUS_MS);
    this.listen();
  }

  sleep() {
    clearInterval(this.timer);
    this.stream?.close();
  }

  listen() {
    let opened = false;
    this.stream = new EventSource("/api/events/stream");
    this.stream.addEventListener("open", () => {
      this.events.load();
      if (opened) this.live.start();
      opened = true;
    });
    this.stream.addEventListener("object", (message) => this.events.take(JSON.parse(message.data)));
    // After a refusal (503, 401) browsers do not try again by themselves.
    this.stream.addEventListener("error", () => {
      if (this.stream.readyState === EventSource.CLOSED) this.timer && setTimeout(() => document.hidden || this.listen(), STATUS_MS);
    });
  }
}

new Page();
