// The overview's charts: columns from the API, drawn by uPlot in the page's own colours.
"use strict";
(() => {
  const HEIGHT = 160;
  const zone = document.documentElement;
  const colour = (name) => getComputedStyle(zone).getPropertyValue(name).trim();

  function formatSeconds(value) {
    if (value === null || value === undefined) return "–";
    if (value < 1) return `${Math.round(value * 1000)} ms`;
    return value < 120 ? `${+value.toPrecision(3)} s` : `${+(value / 60).toPrecision(3)} min`;
  }

  const formatCount = (value) => (value === null || value === undefined ? "–" : value.toLocaleString());
  const moment = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
  const minute = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
  const dayOf = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });

  // Hours and minutes, or the day where a new one begins.
  function formatTimes(_, splits) {
    return splits.map((at) => {
      const date = new Date(at * 1000);
      return date.getHours() || date.getMinutes() ? minute.format(date) : dayOf.format(date);
    });
  }

  const decades = (_, splits) => splits.map((one) => (Math.abs(Math.log10(one) % 1) < 1e-6 ? one : null));

  function axis(values, more = {}, filter = undefined) {
    const grid = { stroke: colour("--line"), width: 1, ...(filter && { filter }) };
    return { stroke: colour("--muted"), grid, ticks: grid, font: "11px system-ui, sans-serif", values, ...more };
  }

  const each = (format) => (_, splits) => splits.map((one) => (one === null ? "" : format(one)));
  const time = () => ({ label: "at", value: (_, at) => (at ? moment.format(new Date(at * 1000)) : "") });

  function line(label, stroke, format, more = {}) {
    const points = { show: false };
    return { label, stroke: colour(stroke), width: 1.5, points, value: (_, value) => format(value), ...more };
  }

  // The line goes on over minutes in which nothing ran.
  const span = (label, stroke, format, more = {}) => line(label, stroke, format, { spanGaps: true, ...more });

  const CHARTS = {
    "chart-ended": {
      columns: ["finished", "failed"],
      options: () => ({
        axes: [axis(formatTimes, { size: 30 }), axis(each(formatCount), { size: 46 })],
        scales: { y: { range: (_, low, high) => [0, Math.max(1, high * 1.1)] } },
        series: [
          time(),
          line("finished", "--good", formatCount, { fill: colour("--good-back") }),
          line("failed", "--bad", formatCount, { fill: colour("--bad-back") }),
        ],
      }),
    },
    "chart-seconds": {
      columns: ["wait_p50", "wait_p95", "run_p50", "run_p95"],
      options: () => ({
        axes: [axis(formatTimes, { size: 30 }), axis(each(formatSeconds), { size: 60, filter: decades }, decades)],
        scales: { y: { distr: 3, range: (_, low, high) => [Math.min(low || 0.001, 0.01), Math.max(high || 1, 1)] } },
        series: [
          time(),
          span("waited p50", "--warn", formatSeconds, { dash: [4, 4] }),
          span("waited p95", "--warn", formatSeconds),
          span("ran p50", "--busy", formatSeconds, { dash: [4, 4] }),
          span("ran p95", "--busy", formatSeconds),
        ],
      }),
    },
  };

  function follow(box) {
    const plots = {};
    let found = null;

    function draw(isNew) {
      for (const [id, chart] of Object.entries(CHARTS)) {
        const place = document.getElementById(id);
        const least = id === "chart-seconds" ? 0.001 : 0; // its scale is logarithmic
        const raise = (value) => (value === null ? null : Math.max(value, least));
        const data = [found.at, ...chart.columns.map((name) => found[name].map(raise))];
        if (isNew && plots[id]) {
          plots[id].destroy();
          delete plots[id];
        }
        if (plots[id]) plots[id].setData(data);
        else plots[id] = new uPlot({ width: place.clientWidth, height: HEIGHT, ...chart.options() }, data, place);
      }
    }

    async function load() {
      if (document.hidden) return;
      try {
        const answer = await fetch(box.dataset.from);
        if (!answer.ok) return;
        found = await answer.json();
      } catch {
        return; // the next time
      }
      box.hidden = false;
      draw(false);
    }

    load();
    setInterval(load, 1000 * box.dataset.seconds);
    document.addEventListener("visibilitychange", load);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => found && draw(true));
    new ResizeObserver(() => {
      for (const [id, plot] of Object.entries(plots)) {
        plot.setSize({ width: document.getElementById(id).clientWidth, height: HEIGHT });
      }
    }).observe(box);
  }

  document.addEventListener("DOMContentLoaded", () => {
    const box = document.getElementById("charts");
    if (box) follow(box);
  });
})();
