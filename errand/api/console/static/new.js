// The form for a new job: its curl line follows what is typed. The server writes the line, so quoting is in one place.
"use strict";
(() => {
  const DELAY = 400; // ms after the last key, so that not every one is a request

  // The line has "$ERRAND_URL" in place of this page's own server; a path that needs quotes begins with one right after.
  function place(line, element) {
    const here = location.origin + element.dataset.prefix;
    const quoted = `'${here.replaceAll("'", "'\\''")}'`;
    const bare = /^[\w:/.~%-]*$/.test(here) ? here : quoted;
    element.textContent = line.replace(/"\$ERRAND_URL"('?)/, (_, quote) => (quote ? quoted.slice(0, -1) : bare));
  }

  async function ask(form, element, signal) {
    const body = new URLSearchParams(new FormData(form));
    body.set("do", "curl");
    const answer = await fetch(form.action, { method: "POST", body, signal });
    const found = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("curl");
    if (found) place(found.textContent, element);
  }

  document.addEventListener("DOMContentLoaded", () => {
    const form = document.getElementById("new");
    const element = document.getElementById("curl");
    if (!form || !element) return;
    place(element.textContent, element);
    const button = document.getElementById("show-curl");
    if (!button) return;
    button.hidden = true;
    let timer;
    let under;
    form.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        under?.abort();
        under = new AbortController();
        ask(form, element, under.signal).catch(() => {});
      }, DELAY);
    });
  });
})();
