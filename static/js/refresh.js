// Refresh in place, quietly: no requests while nobody looks, no swap when nothing changed, none while somebody works inside.
// <div hx-get="…" hx-trigger="every 5s, refresh" data-refresh>

const last = new WeakMap();

document.addEventListener("htmx:beforeRequest", (event) => {
  if (document.hidden && event.target.matches("[data-refresh]")) event.preventDefault();
});

document.addEventListener("htmx:beforeSwap", (event) => {
  const target = event.detail.target;
  if (!target.matches("[data-refresh]")) return;
  const same = last.get(target) === event.detail.serverResponse;
  last.set(target, event.detail.serverResponse);
  if (same || target.contains(document.activeElement)) event.detail.shouldSwap = false;
});

document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  for (const element of document.querySelectorAll("[data-refresh]")) window.htmx?.trigger(element, "refresh");
});
