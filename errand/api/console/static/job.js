// A job's page: a click on a value copies it, a click on a key copies the path to it, and a form is sent once.
"use strict";
(() => {
  const keyOf = (item) => item.querySelector(":scope > .key, :scope > details > summary > .key")?.textContent;

  // As lines[0].sku, from the outermost key.
  function formatPath(item) {
    let path = "";
    for (let at = item; at; at = at.parentElement.closest(".json li")) {
      const key = keyOf(at);
      if (key === undefined) break;
      const isPlace = at.parentElement.closest("details").dataset.kind === "array";
      path = (isPlace ? `[${key}]` : /^[A-Za-z_]\w*$/.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`) + path;
    }
    return path.replace(/^\./, "");
  }

  // A value that is cut off on the page is copied whole, from the job's JSON.
  async function readWhole(item, url) {
    let value = await (await fetch(url)).json();
    const keys = [];
    for (let at = item; at; at = at.parentElement.closest(".json li")) keys.unshift(keyOf(at));
    for (const key of keys) if (key !== undefined) value = value[key];
    return typeof value === "string" ? value : JSON.stringify(value, null, 2);
  }

  async function copy(element, tree) {
    const item = element.closest(".json li") || tree;
    const isKey = element.matches(".key");
    const isWhole = !isKey && element.dataset.cut === undefined;
    const text = isKey ? formatPath(item) : isWhole ? element.textContent : await readWhole(item, tree.dataset.from);
    await navigator.clipboard.writeText(text);
    element.dataset.copied = isKey ? "path copied" : "copied";
    setTimeout(() => delete element.dataset.copied, 1200);
  }

  // The second of two fast clicks would be refused: «its status is queued».
  const sent = new WeakSet();
  document.addEventListener("submit", (event) => {
    if (sent.has(event.target)) event.preventDefault();
    sent.add(event.target);
    setTimeout(() => sent.delete(event.target), 5000);
  });

  document.addEventListener("click", (event) => {
    const element = event.target.closest(".json .value, .json li > .key");
    const tree = element?.closest(".json");
    if (!tree || !navigator.clipboard || String(getSelection())) return;
    copy(element, tree).catch(() => {});
  });
})();
