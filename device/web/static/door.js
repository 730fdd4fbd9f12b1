// What the door sees and decides, as it happens.
"use strict";

const LAST = 12;

class Door {
  constructor() {
    this.live = new LiveView(document.getElementById("live"), document.getElementById("veil"), document.querySelectorAll("[data-camera]"));
    this.record = -1;
    this.shown = "";
    this.stream = null;
    this.timer = 0;
    document.addEventListener("visibilitychange", () => (document.hidden ? this.sleep() : this.wake()));
    if (!document.hidden) this.wake();
  }

  wake() {
    this.sleep();
    this.health();
    this.timer = setInterval(() => this.health(), STATUS_MS);
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
      if (opened) this.live.start();
      opened = true;
    });
    this.stream.addEventListener("door", (message) => this.show(JSON.parse(message.data)));
    // After a refusal (503, 401) browsers do not try again by themselves. An old verdict must not stay.
    this.stream.addEventListener("error", () => {
      this.verdict("away", text("verdict.away"), "", "");
      if (this.stream.readyState === EventSource.CLOSED) this.timer && setTimeout(() => document.hidden || this.listen(), STATUS_MS);
    });
  }

  show(door) {
    const { verdict } = door;
    if (verdict) {
      const word = text(verdict.granted ? "verdict.granted" : "verdict.denied");
      const who = verdict.name || (verdict.reason === "unknown" ? text("reconocer.stranger") : "");
      const why = verdict.granted || verdict.reason === "unknown" ? "" : reasonText(verdict.reason);
      this.verdict(verdict.granted ? "granted" : "denied", word, who, why);
    } else if (door.prompt) this.verdict("asking", texts[`prompt.${door.prompt}`] ?? door.prompt, "", "");
    else if (door.faces) this.verdict("asking", text("verdict.looking"), "", "");
    else this.verdict("idle", text("verdict.idle"), "", "");
    this.wires(door);
    if (door.record !== this.record) this.load(door.record);
  }

  // Set only what changes: screen readers would read it again.
  verdict(kind, word, name, reason) {
    const now = [kind, word, name, reason].join("|");
    if (now === this.shown) return;
    this.shown = now;
    document.getElementById("verdict").className = `verdict ${kind}`;
    document.getElementById("verdict-word").textContent = word;
    document.getElementById("verdict-name").textContent = name;
    document.getElementById("verdict-reason").textContent = reason;
  }

  wires(door) {
    const lock = document.getElementById("lock");
    lock.className = door.lock === "unlocked" ? "open" : "good";
    lock.textContent = text(`lock.${door.lock}`);
    const contact = document.getElementById("contact");
    contact.hidden = door.contact === "absent";
    contact.className = door.contact === "open" ? "open" : "good";
    if (!contact.hidden) contact.textContent = text(`contact.${door.contact}`);
    const alarms = document.getElementById("alarms");
    alarms.hidden = !door.alarms.length;
    alarms.textContent = door.alarms.map((alarm) => texts[`alarm.${alarm}`] ?? alarm).join(", ");
  }

  async health() {
    const status = await ask("/api/status");
    showHealth(status);
    const warning = document.getElementById("warning");
    const door = status?.door ?? {};
    const sentences = [];
    if (door.liveness === "off") sentences.push(text("door.liveness_off"));
    if (door.fault) sentences.push(`${text("door.fault")} ${door.fault}`);
    warning.hidden = !sentences.length;
    const said = sentences.join(" ");
    if (warning.textContent !== said) warning.textContent = said;
  }

  async load(record) {
    const page = await ask(`/api/access?limit=${LAST}`);
    if (!page) return;
    const fresh = this.record >= 0;
    const before = this.record;
    this.record = record;
    const cards = page.decisions.map((decision) => this.card(decision, fresh && decision.record > before));
    document.getElementById("list").replaceChildren(...cards);
    document.getElementById("empty").hidden = cards.length > 0;
  }

  card(decision, fresh) {
    const card = document.getElementById("card").content.cloneNode(true).firstElementChild;
    const granted = decision.decision === "granted";
    card.classList.add(granted ? "granted" : "denied");
    card.classList.toggle("fresh", fresh);
    card.querySelector(".mark").textContent = granted ? "✓" : "✕";
    card.querySelector(".name").textContent = decision.name ?? text(decision.person ? "access.forgotten" : decision.reason === "unknown" ? "reconocer.stranger" : "access.somebody");
    const result = [text(granted ? "verdict.granted" : "verdict.denied")];
    if (!granted && decision.reason !== "unknown") result.push(reasonText(decision.reason));
    card.querySelector(".result").textContent = result.join(": ");
    const time = card.querySelector("time");
    time.textContent = moment(decision.time);
    time.dateTime = new Date(decision.time * 1000).toISOString();
    const more = [];
    if (decision.summed > 1) more.push(text("access.summed", { count: decision.summed }));
    card.querySelector(".more").textContent = more.map((part) => `· ${part}`).join(" ");
    return card;
  }
}

function reasonText(reason) {
  return texts[`reason.${reason}`] ?? reason;
}

new Door();
