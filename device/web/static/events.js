// The list of events: the last ones, then each as it comes.
"use strict";

const MOST_EVENTS = 200;

class EventList {
  constructor() {
    this.list = document.getElementById("list");
    this.card = document.getElementById("card");
    this.empty = document.getElementById("empty");
    this.older = document.getElementById("older");
    this.filters = document.getElementById("filters");
    this.closeup = document.getElementById("closeup");
    this.cards = new Map();
    this.next = null;
    this.filters.addEventListener("change", () => this.load());
    this.filters.addEventListener("submit", (event) => event.preventDefault());
    this.older.addEventListener("click", () => this.loadOlder());
  }

  // Ask for the last events anew; what was missed while the stream was away is then there, too.
  async load() {
    const page = await ask(this.address());
    if (!page) return;
    this.cards.clear();
    this.list.replaceChildren();
    this.append(page);
  }

  async loadOlder() {
    const page = await ask(this.address(this.next));
    if (page) this.append(page);
  }

  address(before) {
    const query = new URLSearchParams([...new FormData(this.filters)].filter(([, value]) => value));
    if (before) query.set("before", before);
    return `/api/events?${query}`;
  }

  append(page) {
    for (const event of page.events) {
      if (!this.cards.has(event.id)) this.list.append(this.newCard(event));
      this.fill(event);
    }
    this.next = page.next;
    this.settle();
  }

  // An event of the stream, in the state it has now.
  take(event) {
    this.offer(event.label);
    const chosen = Object.fromEntries(new FormData(this.filters));
    if ((chosen.label && chosen.label !== event.label) || (chosen.camera && chosen.camera !== event.camera)) return;
    if (!this.cards.has(event.id)) {
      if (event.type !== "new" && this.isOlder(event)) return;
      const card = this.newCard(event);
      card.classList.add("fresh");
      this.place(card);
    }
    this.fill(event);
    if (this.cards.size > MOST_EVENTS) this.dropLast();
    this.settle();
  }

  // The newest is first; an update of an event that was missed finds its place.
  place(card) {
    const start = Number(card.dataset.start);
    const next = [...this.list.children].find((other) => Number(other.dataset.start) < start);
    this.list.insertBefore(card, next ?? null);
  }

  // Whether it belongs to a page that was not asked for yet.
  isOlder(event) {
    return this.next !== null && event.start_time < this.next;
  }

  dropLast() {
    const last = this.list.lastElementChild;
    this.next = Number(last.dataset.start) + 0.001;
    this.cards.delete(last.dataset.id);
    last.remove();
  }

  settle() {
    this.empty.hidden = this.cards.size > 0;
    this.older.hidden = this.next === null;
  }

  newCard(event) {
    const card = this.card.content.cloneNode(true).firstElementChild;
    card.dataset.id = event.id;
    card.dataset.start = event.start_time;
    card.querySelector(".thumb").addEventListener("click", () => this.open(card));
    this.cards.set(event.id, card);
    this.offer(event.label);
    return card;
  }

  fill(event) {
    const card = this.cards.get(event.id);
    const over = event.end_time !== null;
    card.classList.toggle("over", over);
    card.querySelector(".what").textContent = labelName(event.label);
    card.querySelector(".now").hidden = over;
    const time = card.querySelector("time");
    time.textContent = moment(event.start_time);
    time.dateTime = new Date(event.start_time * 1000).toISOString();
    const places = event.entered_zones?.length ? event.entered_zones : event.current_zones ?? [];
    card.querySelector(".where").textContent = ["", event.camera, ...places].join(" · ");
    const more = [percent.format(event.top_score)];
    if (over) more.push(duration(event.end_time - event.start_time));
    else if (event.stationary) more.push(text("events.stationary"));
    card.querySelector(".more").textContent = more.join(" · ");
    this.picture(card, event);
  }

  // A better picture has a better score: the address changes with it.
  picture(card, event) {
    const thumb = card.querySelector(".thumb");
    thumb.disabled = !event.has_snapshot;
    thumb.setAttribute("aria-label", text("events.enlarge", { label: labelName(event.label), time: moment(event.start_time) }));
    if (!event.has_snapshot) return;
    const address = `/api/events/${encodeURIComponent(event.id)}/snapshot.jpg?best=${event.top_score}`;
    const image = thumb.firstElementChild;
    if (image.getAttribute("src") !== address) image.src = address;
  }

  open(card) {
    const picture = document.getElementById("closeup-picture");
    picture.src = card.querySelector("img").src;
    const title = `${card.querySelector(".what").textContent} · ${card.querySelector("time").textContent}`;
    picture.alt = title;
    document.getElementById("closeup-title").textContent = title;
    this.closeup.showModal();
  }

  // Labels that have been seen can be filtered by.
  offer(label) {
    const select = this.filters.elements.label;
    if ([...select.options].some((option) => option.value === label)) return;
    select.add(new Option(labelName(label), label));
  }
}
