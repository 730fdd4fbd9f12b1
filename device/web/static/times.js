// Times in the browser's clock and language.
"use strict";

const dayOnly = new Intl.DateTimeFormat(language, { dateStyle: "medium" });

for (const time of document.querySelectorAll("time[datetime]")) {
  const date = new Date(time.dateTime);
  if ("full" in time.dataset) time.textContent = dayAndTime.format(date);
  if ("day" in time.dataset) time.textContent = dayOnly.format(date);
}
