// Ctrl or Cmd and K goes to the finder: <a href="…" data-find>Find</a>
// There the arrows walk through what was found: <form data-find-form>, <a data-found>

document.addEventListener("keydown", (event) => {
  if (event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey) {
    const link = document.querySelector("a[data-find]");
    if (!link) return;
    event.preventDefault();
    link.click();
    return;
  }
  const field = document.querySelector("[data-find-form] [type=search]");
  if (!field || !["ArrowDown", "ArrowUp"].includes(event.key)) return;
  const stops = [field, ...document.querySelectorAll("a[data-found]")];
  const at = stops.indexOf(document.activeElement);
  if (at < 0) return;
  event.preventDefault();
  stops[Math.min(Math.max(at + (event.key === "ArrowDown" ? 1 : -1), 0), stops.length - 1)].focus();
});
