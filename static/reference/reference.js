// Swagger UI in the portal's colours, with the reader's test key where there is one.
// <div id="swagger-ui" data-schema="/api/schema" data-key="rl_test_…">

const place = document.getElementById("swagger-ui");
const { schema, key } = place.dataset;
const darkSystem = matchMedia("(prefers-color-scheme: dark)");

const dress = () => {
  const theme = document.documentElement.dataset.theme ?? (darkSystem.matches ? "dark" : "light");
  document.documentElement.classList.toggle("dark-mode", theme === "dark");
};

const ui = SwaggerUIBundle({
  url: schema,
  domNode: place,
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
  deepLinking: false,
  defaultModelsExpandDepth: -1,
  docExpansion: "list",
  onComplete: () => key && ui.preauthorizeApiKey("apiKey", key),
});

// What axe would find wrong in what it draws.
const name = () => {
  for (const field of place.querySelectorAll(":is(select, textarea):not([aria-label])")) {
    const isExample = field.classList.contains("examples-select-element");
    field.ariaLabel = isExample ? "Example" : field.localName === "textarea" ? "Body" : "Value";
  }
  for (const code of place.querySelectorAll("pre.microlight:not([tabindex])")) code.tabIndex = 0;
};

dress();
new MutationObserver(name).observe(place, { childList: true, subtree: true });
darkSystem.addEventListener("change", dress);
new MutationObserver(dress).observe(document.documentElement, { attributeFilter: ["data-theme"] });
