// The list of jobs: keeps ticks while rows come and go. The page of a bulk change: goes on with all that match.
"use strict";
(() => {
  const BOXES = 'input[name="id"][form="bulk"]';
  const ticked = new Set(); // ids, also of jobs that have left the page
  let last = null; // the id of the box that was used last, where a range begins

  const findBoxes = () => [...document.querySelectorAll(BOXES)];

  function show(form) {
    const boxes = findBoxes();
    const here = boxes.filter((box) => box.checked).length;
    const all = document.querySelector("#all-here input");
    all.checked = here > 0 && here === boxes.length;
    all.indeterminate = here > 0 && here < boxes.length;
    all.disabled = boxes.length === 0;
    const away = ticked.size - here;
    const text = ticked.size ? `${ticked.size} ticked${away ? `, ${away} not on this page` : ""}` : "Ticked jobs";
    const label = document.getElementById("ticked");
    if (label.textContent !== text) label.textContent = text;
    const isEmpty = form.elements.scope.value === "chosen" && ticked.size === 0;
    form.querySelectorAll("button").forEach((button) => { button.disabled = isEmpty; });
  }

  function tick(box, isOn) {
    box.checked = isOn;
    if (isOn) ticked.add(box.value);
    else ticked.delete(box.value);
  }

  // With the shift key: all boxes from the one that was used last.
  function tickRange(box) {
    const boxes = findBoxes();
    const [from, to] = [boxes.findIndex((one) => one.value === last), boxes.indexOf(box)].sort((a, b) => a - b);
    if (from >= 0) boxes.slice(from, to + 1).forEach((one) => tick(one, box.checked));
  }

  function follow(form) {
    let isRange = false;
    document.getElementById("all-here").hidden = false;
    document.addEventListener("click", (event) => {
      if (event.target.matches?.(BOXES)) isRange = event.shiftKey;
    }, true);
    document.addEventListener("change", (event) => {
      const box = event.target;
      if (box.matches("#all-here input")) findBoxes().forEach((one) => tick(one, box.checked));
      else if (box.matches(BOXES)) {
        tick(box, box.checked);
        if (isRange) tickRange(box);
        last = box.value;
        isRange = false;
      } else if (!form.contains(box)) return;
      if (box.type === "checkbox") form.elements.scope.value = "chosen";
      show(form);
    });
    // Ticked jobs that newer ones have pushed off the page are sent, too.
    form.addEventListener("formdata", (event) => {
      const there = new Set(findBoxes().map((box) => box.value));
      for (const id of ticked) if (!there.has(id)) event.formData.append("id", id);
    });
    document.addEventListener("htmx:after:swap", () => {
      findBoxes().forEach((box) => { box.checked = ticked.has(box.value); });
      show(form);
    });
    // A browser that goes back to the page restores its ticks.
    addEventListener("pageshow", () => {
      findBoxes().forEach((box) => box.checked && ticked.add(box.value));
      show(form);
    });
    show(form);
  }

  // A change of all that match can take many requests. Once its button was pressed in this tab, the page goes on by
  // itself. The fields hold the moment when the change was asked for, so no link from elsewhere can start one.
  function goOn(form) {
    const run = [...new FormData(form)].filter(([name]) => !["cursor", "taken", "passed"].includes(name)).join("\n");
    form.addEventListener("submit", () => sessionStorage.setItem("errand-run", run));
    const note = document.getElementById("goes-on");
    if (!note || sessionStorage.getItem("errand-run") !== run) return;
    note.hidden = false;
    const timer = setTimeout(() => form.requestSubmit(), 200);
    document.getElementById("stop").addEventListener("click", () => {
      clearTimeout(timer);
      sessionStorage.removeItem("errand-run");
    });
  }

  document.addEventListener("DOMContentLoaded", () => {
    const form = document.getElementById("bulk");
    if (form) follow(form);
    const change = document.getElementById("change");
    if (change) goOn(change);
  });
})();
