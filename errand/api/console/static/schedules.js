// A schedule's form: offers all time zones, the viewer's first, and fills in the example of the type that is chosen.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  const list = document.getElementById("zones");
  const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const zones = Intl.supportedValuesOf ? Intl.supportedValuesOf("timeZone") : [];
  list?.append(...new Set([own, "UTC", ...zones].filter(Boolean).map((zone) => new Option("", zone))));

  const type = document.getElementById("type");
  const payload = document.getElementById("payload");
  if (!type || !payload) return;
  const examples = new Set([...type.options].map((option) => option.dataset.example));
  type.addEventListener("change", () => {
    const example = type.selectedOptions[0]?.dataset.example;
    const text = payload.value.trim(); // what somebody has written stays
    if (example && (!text || text === "{}" || examples.has(text))) payload.value = example;
  });
});
