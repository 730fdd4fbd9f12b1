// A picture out of the camera or a file, sent to POST /reconocer; the names come back, the largest face first.
"use strict";

const STRANGER = "Desconocido";

class Recogniser {
  constructor() {
    this.button = document.getElementById("recognise");
    this.still = document.getElementById("still");
    this.results = document.getElementById("results");
    this.file = document.getElementById("file");
    this.webcam = new Webcam(document.getElementById("webcam"), document.getElementById("veil"));
    this.button.addEventListener("click", () => this.shoot());
    this.file.addEventListener("change", () => this.open());
    this.webcam.start().then(() => (this.button.disabled = !this.webcam.ready));
  }

  // The button takes a picture; while one is shown, it goes back to the camera.
  shoot() {
    if (!this.still.hidden) return this.live();
    this.ask(this.webcam.still());
  }

  async open() {
    const [file] = this.file.files;
    this.file.value = "";
    if (!file) return;
    const canvas = await photo(file);
    if (canvas) this.ask(canvas);
    else this.results.replaceChildren(Object.assign(document.createElement("p"), { className: "notice bad", textContent: text("webcam.unreadable") }));
  }

  live() {
    this.still.hidden = true;
    this.webcam.video.hidden = false;
    this.webcam.veil.hidden = this.webcam.ready;
    this.button.textContent = text("reconocer.button");
    this.button.disabled = !this.webcam.ready;
  }

  show(canvas) {
    this.still.width = canvas.width;
    this.still.height = canvas.height;
    this.still.getContext("2d").drawImage(canvas, 0, 0);
    this.still.hidden = false;
    this.webcam.video.hidden = true;
    this.webcam.veil.hidden = true;
  }

  async ask(canvas) {
    this.show(canvas);
    this.button.disabled = true;
    this.results.replaceChildren(Object.assign(document.createElement("p"), { className: "quiet", textContent: text("reconocer.asking") }));
    const answer = await post("/reconocer", { image: dataUrl(canvas) });
    this.button.disabled = false;
    this.button.textContent = text(this.webcam.ready ? "reconocer.again" : "reconocer.close");
    if (answer.status !== 200) return this.results.replaceChildren(trouble(answer));
    this.results.replaceChildren(this.list(answer.body.resultados));
  }

  list(names) {
    if (!names.length) return Object.assign(document.createElement("p"), { className: "notice", textContent: text("reconocer.no_face") });
    const list = Object.assign(document.createElement("ol"), { className: "names" });
    for (const name of names) {
      const item = document.createElement("li");
      item.className = name === STRANGER ? "stranger" : "known";
      item.textContent = name === STRANGER ? text("reconocer.stranger") : name;
      list.append(item);
    }
    return list;
  }
}

new Recogniser();
