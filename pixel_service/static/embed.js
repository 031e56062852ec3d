// Puts a sign-up form behind the script element that loaded it. Texts come fresh from the service, every box starts
// unticked, nothing is stored in the browser, and what anybody typed is only ever set as text.
function (offer) {
  "use strict";
  const place = document.currentScript;
  const asked = place.dataset.lang || document.documentElement.lang.slice(0, 2);
  const language = offer.words[asked] ? asked : offer.language;
  const words = offer.words[language];

  function element(name, properties, ...children) {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children);
    return made;
  }

  function privacy(notice) {
    const [before, label, after] = words.notice.split(/<[^>]*>/);
    return element("p", {}, before, element("a", { href: notice.url, target: "_blank" }, label), after);
  }

  function box(choice) {
    const input = element("input", { type: "checkbox", value: choice.purpose });
    const paragraphs = choice.text.split("\n\n").map((text) => element("p", {}, text));
    return element("div", {}, element("p", {}, element("label", {}, input, " " + choice.label)), ...paragraphs);
  }

  const address = element("input", { type: "email", name: "address", maxLength: 254, required: true, autocomplete: "email" });
  const said = element("p", {});
  said.setAttribute("role", "status");
  const form = element("form", { lang: language, className: "pixel-sign-up" });
  place.after(form);

  function fill(texts) {
    form.replaceChildren(
      element("p", {}, element("label", {}, words.address, element("br", {}), address)),
      ...texts.choices.map(box),
      said,
      element("p", {}, element("button", {}, words[offer.kind])),
      privacy(texts.notice),
    );
    form.onsubmit = (event) => {
      event.preventDefault();
      send(texts).catch(() => { said.textContent = words.failed; });
    };
  }

  async function send(texts) {
    const ticked = new Set([...form.querySelectorAll("input:checked")].map((input) => input.value));
    const answer = await fetch(offer.base + "/v1/sign-ups", {
      method: "POST",
      credentials: "omit",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({
        address: address.value,
        language: language,
        notice_version: texts.notice.version,
        form_url: location.origin + location.pathname,
        choices: texts.choices
          .filter((choice) => ticked.has(choice.purpose))
          .map((choice) => ({ purpose: choice.purpose, wording_version: choice.version })),
      }),
    });
    if (answer.status === 202) {
      form.replaceChildren(said);
      said.textContent = words.done;
    } else if (answer.status === 409) {
      await load();
      said.textContent = words.outdated + " " + words.again;
    } else {
      said.textContent = words.failed;
    }
  }

  async function load() {
    const answer = await fetch(offer.base + "/v1/offers/" + offer.kind + "/" + offer.slug + "?lang=" + language, {
      credentials: "omit",
      cache: "no-store",
    });
    fill(await answer.json());
  }

  load().catch(() => {
    const href = offer.base + "/" + offer.kind + "/" + offer.slug + "?lang=" + language;
    form.replaceChildren(element("a", { href: href, target: "_blank" }, words[offer.kind]));
  });
}
