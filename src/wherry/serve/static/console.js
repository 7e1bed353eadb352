// Keeps an open page up to date, and asks before what cannot be taken back by a click. The page works without it.
"use strict";

for (const form of document.querySelectorAll("form[data-ask]")) {
  form.addEventListener("submit", (event) => {
    if (!window.confirm(form.dataset.ask)) event.preventDefault();
  });
}

const live = document.querySelector("[data-live]");
if (live) {
  const source = new EventSource(live.dataset.live);
  source.addEventListener("message", (message) => {
    for (const [id, html] of Object.entries(JSON.parse(message.data))) {
      const part = document.getElementById(id);
      if (part) part.innerHTML = html; // rendered by the server, which escapes what it was given
    }
  });
  window.addEventListener("pagehide", () => source.close());
}
