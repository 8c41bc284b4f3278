"""A person whose pages are looked at by axe; what it, or the console, says against them is collected."""

from axe_playwright_python.base import AXE_SCRIPT
from django.conf import settings

TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
SCHEMES = ("light", "dark")
LOOK = """async ([tags, colours]) => {
  const root = document.documentElement;
  root.hidden = true;  // Chromium leaves some inherited colours as they were before an emulated change of scheme
  root.offsetHeight;
  root.hidden = false;
  await new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)));
  for (const moving of document.getAnimations())
    if (moving.effect.getComputedTiming().endTime !== Infinity) moving.finish();
  for (const part of [...document.querySelectorAll("main details")].slice(0, 5)) part.open = true;
  const runOnly = colours ? {type: "rule", values: ["color-contrast"]} : {type: "tag", values: tags};
  const {violations} = await axe.run(document, {runOnly, resultTypes: ["violations"], preload: false});
  return violations
    .filter((found) => ["serious", "critical"].includes(found.impact))
    .flatMap(({id, nodes}) => nodes.map((node) => `${id}: ${node.html.slice(0, 200)} ${node.any[0]?.message ?? ""}`));
}"""


class Reader:
    """Opens pages of the live server as one person and collects what axe, or the console, says against them."""

    def __init__(self, chromium, url, client=None):
        self._context = chromium.new_context(viewport={"width": 1280, "height": 860}, reduced_motion="reduce")
        self._context.set_default_timeout(15_000)
        self._context.add_init_script(AXE_SCRIPT)
        if client:
            name = settings.SESSION_COOKIE_NAME
            self._context.add_cookies([{"name": name, "value": client.cookies[name].value, "url": url}])
        self.url, self.page, self.wrong = url, self._context.new_page(), []
        self.page.on("console", self._console)

    def read(self, path, *, status=200, schemes=SCHEMES):
        answer = self.page.goto(self.url + path)
        assert (answer.status, self.page.url.removeprefix(self.url)) == (status, path)
        self.look(schemes)

    def close(self):
        self._context.close()

    def look(self, schemes=SCHEMES):
        at = self.page.url.removeprefix(self.url)
        for scheme in schemes:
            self.page.emulate_media(color_scheme=scheme)
            found = self.page.evaluate(LOOK, [TAGS, scheme != schemes[0]])
            self.wrong += [f"{at} {scheme}: {one}" for one in found]

    def _console(self, said):
        if said.type == "error" and "status of" not in said.text:
            self.wrong.append(f"{self.page.url}: {said.text}")
