// Pickers that show at once what was picked, and fields that belong to one choice only.
// <form method="get" data-send-on-change><select name="range">…</select><span data-shown-for="range=custom">…</span></form>

function shownFor(form) {
  for (const part of form.querySelectorAll("[data-shown-for]")) {
    const [name, value] = part.dataset.shownFor.split("=");
    part.classList.toggle("pickers-off", form.elements[name]?.value !== value);
  }
}

document.addEventListener("change", (event) => {
  const form = event.target.closest("form[data-send-on-change]");
  if (!form) return;
  shownFor(form);
  const waits = form.elements.range?.value === "custom" && !(form.elements.since?.value && form.elements.until?.value);
  if (event.target.matches("select") && !waits) form.requestSubmit();
});

for (const form of document.querySelectorAll("form[data-send-on-change]")) {
  shownFor(form);
  // Fields that say nothing stay out of the address.
  form.addEventListener("formdata", (event) => {
    for (const [name, value] of [...event.formData]) if (!value) event.formData.delete(name);
  });
}
