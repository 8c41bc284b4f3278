// `g` and then a letter goes to a section. <a href="…" data-go="r">Rules</a>

const TOGETHER_MS = 1200;
let goUntil = 0;

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea, [contenteditable]")) return;
  if (event.key === "g") {
    goUntil = performance.now() + TOGETHER_MS;
    return;
  }
  const link = performance.now() < goUntil && /^[a-z]$/.test(event.key) && document.querySelector(`a[data-go="${event.key}"]`);
  goUntil = 0;
  if (link) link.click();
});

// Where the sections scroll sideways, on phones, the present one is in sight.
document.querySelector('.side-nav [aria-current="page"]')?.scrollIntoView({ block: "nearest", inline: "center" });
