// What all pages do besides htmx: times in the viewer's zone, the connection's state, copying, keys.
"use strict";
(() => {
  const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
  const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
  const UNITS = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];

  // 12 min, 2 h 5 min: the largest unit, and the next one where there are fewer than ten of it.
  function writeSpan(seconds) {
    const whole = Math.max(0, Math.round(seconds));
    const first = UNITS.findIndex(([size]) => whole >= size);
    if (first < 0) return "0 s";
    const [size, unit] = UNITS[first];
    const rest = first + 1 < UNITS.length ? Math.floor((whole % size) / UNITS[first + 1][0]) : 0;
    const count = Math.floor(whole / size);
    return rest && count < 10 ? `${count} ${unit} ${rest} ${UNITS[first + 1][1]}` : `${count} ${unit}`;
  }

  function showTime(element) {
    const at = new Date(element.dateTime);
    if (isNaN(at)) return;
    const seconds = (Date.now() - at) / 1000;
    let text = day.format(at);
    if ("age" in element.dataset) text = seconds >= 0 ? `${writeSpan(seconds)} ago` : `in ${writeSpan(-seconds)}`;
    if ("span" in element.dataset) text = writeSpan(seconds);
    if ("clock" in element.dataset) text = clock.format(at);
    if (element.textContent !== text) element.textContent = text;
    if (!element.title) element.title = day.format(at);
  }

  const showTimes = () => document.querySelectorAll("time").forEach(showTime);
  const showSpans = () => document.querySelectorAll("time[data-age], time[data-span]").forEach(showTime);

  const WORDS = { live: "Live", lost: "Reconnecting", away: "Redis is away", gone: "Ended" };
  function setState(state) {
    const element = document.getElementById("connection");
    if (!element || element.dataset.state === state) return;
    element.dataset.state = state;
    element.textContent = WORDS[state];
    const banner = document.getElementById("banner");
    const said = {
      away: "Redis can’t be reached. This page shows what it last knew, and goes on by itself when Redis is back.",
      gone: "This was deleted or has expired. The page shows what it last knew.",
    }[state];
    banner.hidden = !said;
    banner.textContent = said || "";
  }

  // Follows the page's stream. A page in the background has none and opens one again when it is looked at.
  function follow(main) {
    let isAway = false;
    main.addEventListener("htmx:sse:after:connection", () => isAway || setState("live"));
    main.addEventListener("htmx:sse:after:message", () => { if (!isAway) setState("live"); });
    main.addEventListener("htmx:sse:error", (event) => {
      if (event.detail.status === 401) location.reload();
      setState("lost");
    });
    main.addEventListener("away", () => { isAway = true; setState("away"); });
    main.addEventListener("back", () => { isAway = false; setState("live"); });
    main.addEventListener("gone", () => setState("gone"));
    main.addEventListener("renew", () => renew(main));
    main.addEventListener("htmx:error", retry);
    main.addEventListener("htmx:response:error", retry);
    function retry(event) {
      if (event.target !== main) return;
      if (event.detail?.ctx?.response?.status === 401) location.reload();
      setState("lost");
      setTimeout(() => main.dispatchEvent(new Event("retry")), 5000);
    }
  }

  // If htmx was loaded and processed the page before its SSE extension was there, the page has no stream yet.
  function connect(main) {
    if (window.htmx && !main._htmx?.triggerSpecs?.length) htmx.process(main);
  }

  // Another version of the console serves this page now: load it again. At most once a minute, since servers of two
  // versions side by side could make it go on for ever, and never after something was typed.
  let isEdited = false;
  function renew(main) {
    const before = Number(sessionStorage.getItem("renewed")) || 0;
    if (isEdited || main.querySelector("dialog[open]") || Date.now() - before < 60000) return;
    sessionStorage.setItem("renewed", Date.now());
    location.reload();
  }

  async function copy(button) {
    const { copy: selector, copyFrom: url } = button.dataset;
    const text = url ? await (await fetch(url)).text() : document.querySelector(selector).textContent;
    await navigator.clipboard.writeText(text);
    const before = button.textContent;
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = before; }, 1500);
  }

  // A notice is for whoever just made the change: not for a page that is loaded again or an address that is sent on.
  function forgetNotice() {
    const address = new URL(location);
    if (!address.searchParams.has("done")) return;
    address.searchParams.delete("done");
    address.searchParams.delete("count");
    address.searchParams.delete("passed");
    history.replaceState(null, "", address);
  }

  document.addEventListener("htmx:after:swap", showTimes);
  document.addEventListener("input", (event) => { if (event.target.closest("main")) isEdited = true; });
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button.copy");
    if (button) copy(button);
  });
  function showHelp() {
    const dialog = document.getElementById("help");
    dialog?.showModal();
    return Boolean(dialog);
  }

  function focusSearch() {
    const field = document.getElementById("search");
    field?.focus();
    field?.select();
    return Boolean(field);
  }

  function goTo(key) {
    const link = document.querySelector(`nav [data-key="${CSS.escape(key)}"]`);
    link?.click();
    return Boolean(link);
  }

  let wentAt = -Infinity; // when g was pressed
  function act(key) {
    const isGoing = performance.now() - wentAt < 1500;
    wentAt = key === "g" && !isGoing ? performance.now() : -Infinity;
    if (isGoing) return goTo(key);
    return key === "/" ? focusSearch() : key === "?" && showHelp();
  }

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && event.target.id === "search") event.target.blur();
    const isTyping = event.target.closest("input:not([type=radio], [type=checkbox]), select, textarea, [contenteditable]");
    const isOther = isTyping || event.ctrlKey || event.metaKey || event.altKey || event.key.length !== 1;
    if (!isOther && !document.querySelector("dialog:modal") && act(event.key)) event.preventDefault();
  });
  document.addEventListener("click", (event) => {
    const isPlain = !event.ctrlKey && !event.metaKey && !event.shiftKey;
    if (isPlain && event.target.id === "help-link" && showHelp()) event.preventDefault();
    if (event.target.id === "help") event.target.close(); // a click outside of the dialog
  });
  // This script runs first and listens at once: htmx may connect before the other scripts are loaded.
  const main = document.querySelector("#main");
  if (main) follow(main);
  document.addEventListener("DOMContentLoaded", () => {
    showTimes();
    forgetNotice();
    if (navigator.clipboard) document.documentElement.classList.add("can-copy");
    if (main) setTimeout(() => connect(main), 100);
    setInterval(() => document.hidden || showSpans(), 1000);
    document.addEventListener("visibilitychange", () => document.hidden || showTimes());
  });
})();
