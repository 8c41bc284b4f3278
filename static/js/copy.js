// Copies the text of the element it names and says so.
// <button type="button" data-copy="#curl" hidden><span data-copy-word>Copy</span></button>   (shown only where it can work)

const SAID_MS = 1600;

async function textCopy(text) {
  if (navigator.clipboard && window.isSecureContext) return navigator.clipboard.writeText(text);
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "unseen";
  document.body.append(area);
  area.select();
  const copied = document.execCommand("copy");
  area.remove();
  if (!copied) throw new Error("the browser refused to copy");
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  const source = button && document.querySelector(button.dataset.copy);
  if (!source) return;
  const word = button.querySelector("[data-copy-word]") ?? button;
  const before = word.dataset.copyBefore ?? word.textContent;
  word.dataset.copyBefore = before;
  try {
    await textCopy(source.value ?? source.textContent.trim());
    word.textContent = "Copied";
  } catch {
    word.textContent = "Press Ctrl+C";
    window.getSelection().selectAllChildren(source);
  }
  setTimeout(() => (word.textContent = before), SAID_MS);
});

for (const button of document.querySelectorAll("[data-copy]")) button.hidden = false;
document.addEventListener("htmx:load", (event) => {
  for (const button of event.target.querySelectorAll("[data-copy]")) button.hidden = false;
});
