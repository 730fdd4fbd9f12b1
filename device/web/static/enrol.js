// Photos out of files or the camera, and the consent, to POST /api/people.
"use strict";

const MOST = 12;
const LEAST = 3;

class Enrolment {
  constructor() {
    this.form = document.getElementById("enrol");
    this.photos = [];
    this.list = document.getElementById("photos");
    this.outcome = document.getElementById("outcome");
    this.webcam = new Webcam(document.getElementById("webcam"), document.getElementById("veil"));
    this.name = document.getElementById("name");
    document.getElementById("open").addEventListener("click", () => this.open());
    document.getElementById("shoot").addEventListener("click", () => this.add(this.webcam.still()));
    document.getElementById("files").addEventListener("change", (event) => this.take(event.target));
    this.name.addEventListener("input", () => this.consent());
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.send();
    });
    this.count();
  }

  // Whoever agrees shall read to what, and for whom.
  consent() {
    document.getElementById("consent-text").textContent = text("enrol.consent", { name: this.name.value.trim() || "…" });
  }

  async open() {
    document.getElementById("camera").hidden = false;
    document.getElementById("open").hidden = true;
    const shoot = document.getElementById("shoot");
    shoot.hidden = false;
    await this.webcam.start();
    shoot.disabled = !this.webcam.ready;
  }

  async take(input) {
    const files = [...input.files];
    input.value = "";
    for (const file of files) {
      const canvas = await photo(file);
      if (canvas) this.add(canvas);
      else this.say(`${file.name}: ${text("webcam.unreadable")}`);
    }
  }

  add(canvas) {
    if (this.photos.length >= MOST) return this.say(text("enrol.most", { count: MOST }));
    const item = document.createElement("li");
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", text("enrol.photo", { number: this.photos.length + 1 }));
    const remove = Object.assign(document.createElement("button"), { type: "button", textContent: "✕" });
    remove.setAttribute("aria-label", text("enrol.remove"));
    remove.addEventListener("click", () => this.remove(item));
    item.append(canvas, remove);
    this.photos.push({ item, canvas });
    this.outcome.replaceChildren();
    this.list.append(item);
    this.count();
  }

  remove(item) {
    this.photos = this.photos.filter((photo) => photo.item !== item);
    item.remove();
    this.outcome.replaceChildren();
    this.count();
  }

  count() {
    const count = this.photos.length;
    document.getElementById("count").textContent = count ? text("enrol.count", { count }) : text("enrol.count_none");
  }

  say(sentence, kind = "bad") {
    this.outcome.replaceChildren(Object.assign(document.createElement("p"), { className: `notice ${kind}`, textContent: sentence }));
  }

  async send() {
    if (!this.photos.length) return this.say(text("enrol.count_none"));
    const button = document.getElementById("send");
    button.disabled = true;
    this.say(text("enrol.sending"), "");
    const images = this.photos.map(({ canvas }) => dataUrl(canvas));
    const answer = await post("/api/people", { name: this.name.value, consent: document.getElementById("consent").checked, images });
    button.disabled = false;
    if (![201, 422].includes(answer.status)) return this.outcome.replaceChildren(trouble(answer));
    this.told(answer);
  }

  // What came of it; photos that were refused are marked, so that better ones can take their place.
  told(answer) {
    const { accepted, refused, person } = answer.body;
    const key = person ? "enrol.done" : "enrol.too_few";
    this.say(text(key, { name: this.name.value.trim(), accepted, least: LEAST, photos: answer.body.photos }), person ? "good" : "bad");
    for (const { item } of this.photos) item.querySelector("p")?.remove();
    for (const { photo: number, reason } of refused) {
      const { item } = this.photos[number - 1];
      item.classList.add("refused");
      item.append(Object.assign(document.createElement("p"), { textContent: refusal(reason) }));
    }
    if (!person) return;
    this.webcam.stop();
    const link = Object.assign(document.createElement("a"), { href: `/people/${person.id}`, textContent: person.name });
    this.outcome.firstElementChild.append(" ", link);
    if (!refused.length) {
      this.photos = [];
      this.list.replaceChildren();
      this.count();
    }
  }
}

// The device's reason in the language of the page, where the catalogue has it.
function refusal(reason) {
  const face = /^the face is (.+)$/.exec(reason);
  if (face) return face[1].split(", ").map((word) => texts[`quality.${word}`] ?? word).join(", ");
  for (const [start, key] of [["no face", "refused.no_face"], ["more than one", "refused.several"], ["the same picture", "refused.same"], ["looks like another", "refused.other"]]) {
    if (reason.startsWith(start)) return text(key);
  }
  const double = /^looks like (.+), who is enrolled/.exec(reason);
  return double ? text("refused.double", { name: double[1] }) : reason;
}

new Enrolment();
