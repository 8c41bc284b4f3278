// Keeps relative times true while the page stays open. <time datetime="2026-01-31T12:00:00+00:00" data-moment>3 minutes ago</time>

const STEPS = [
  [60, "second", 1],
  [3600, "minute", 60],
  [86_400, "hour", 3600],
  [2_592_000, "day", 86_400],
];
const words = new Intl.RelativeTimeFormat("en", { numeric: "auto" });

function momentSay(element) {
  const seconds = (new Date(element.dateTime) - Date.now()) / 1000;
  const step = STEPS.find(([below]) => Math.abs(seconds) < below);
  if (step) element.textContent = words.format(Math.round(seconds / step[2]), step[1]);
}

function momentsSay() {
  for (const element of document.querySelectorAll("time[data-moment]")) momentSay(element);
}

momentsSay();
setInterval(momentsSay, 15_000);
document.addEventListener("htmx:afterSettle", momentsSay);
