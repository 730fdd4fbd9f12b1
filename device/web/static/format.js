// Texts, dates and numbers in the language of the page, times in the clock of the browser.
"use strict";

const language = document.documentElement.lang;
const texts = JSON.parse(document.body.dataset.texts);
const labels = JSON.parse(document.body.dataset.labels);

const dayAndTime = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "medium" });
const timeOnly = new Intl.DateTimeFormat(language, { timeStyle: "medium" });
const percent = new Intl.NumberFormat(language, { style: "percent" });
const decimal = new Intl.NumberFormat(language, { maximumFractionDigits: 1 });

function text(key, values = {}) {
  return texts[key].replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

function labelName(label) {
  return labels[label] ?? label;
}

// The moment `seconds` after 1970: the time alone for today, else with the date.
function moment(seconds) {
  const date = new Date(seconds * 1000);
  return (date.toDateString() === new Date().toDateString() ? timeOnly : dayAndTime).format(date);
}

function quantity(value, unit) {
  return new Intl.NumberFormat(language, { style: "unit", unit, maximumFractionDigits: 0 }).format(value);
}

// A duration by its two largest units: 2 d 3 h, 3 h 5 min, 5 min 12 s, 12 s.
function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  const units = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
  const first = units.findIndex(([, size]) => whole >= size);
  if (first === -1) return quantity(0, "second");
  const [unit, size] = units[first];
  const parts = [quantity(Math.floor(whole / size), unit)];
  const next = units[first + 1];
  if (next && Math.floor((whole % size) / next[1])) parts.push(quantity(Math.floor((whole % size) / next[1]), next[0]));
  return parts.join(" ");
}
