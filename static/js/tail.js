// Following a list: checks that stand there already are not shown twice, and the list stays short.
// <ol id="checks"><li id="chk_…"></li></ol> and an answer with <ol hx-swap-oob="afterbegin:#checks">

const MOST = 300;

document.addEventListener("htmx:oobBeforeSwap", (event) => {
  const list = event.detail.target;
  if (list?.id !== "checks") return;
  for (const row of event.detail.fragment.querySelectorAll("li[id]")) {
    if (document.getElementById(row.id)) row.remove();
  }
});

document.addEventListener("htmx:oobAfterSwap", (event) => {
  if (event.detail.target?.id !== "checks") return;
  for (const row of [...event.detail.target.children].slice(MOST)) row.remove();
});
