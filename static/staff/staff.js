// Names for fields that have none of their own: Select2's boxes, and what stands in a table's row.

const wordsOf = (field) => {
  const column = field.closest("td")?.cellIndex;
  const heading = field.closest("table")?.tHead?.rows[0]?.cells[column];
  return (field.labels?.[0] ?? heading)?.textContent.trim() || field.name;
};

const nameAll = () => {
  for (const field of document.querySelectorAll("td :is(input, select, textarea):not([type=hidden])")) {
    if (!field.labels.length && !field.ariaLabel) field.ariaLabel = wordsOf(field);
  }
  for (const select of document.querySelectorAll("select.select2-hidden-accessible")) {
    for (const part of select.nextElementSibling.querySelectorAll("[role=combobox], [role=textbox]")) {
      part.removeAttribute("aria-labelledby");
      part.ariaLabel = wordsOf(select);
    }
  }
};

document.addEventListener("DOMContentLoaded", () => {
  nameAll();
  new MutationObserver(nameAll).observe(document.body, { childList: true, subtree: true });
});
