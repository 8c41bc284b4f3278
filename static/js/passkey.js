// Asks the browser for a passkey and sends what it answers.
// <form data-passkey="create | get | login" hidden><input type="hidden" name="credential"><button type="button" data-passkey-ask>
// What is asked stands in the JSON of #passkey; a login fetches it from the form's address. Hidden where it cannot work.

async function optionsOf(form) {
  if (form.dataset.passkey !== "login") return JSON.parse(document.getElementById("passkey").textContent);
  const answer = await fetch(form.action, { headers: { Accept: "application/json" } });
  if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
  return answer.json();
}

async function credentialAsk(form) {
  const options = await optionsOf(form);
  if (form.dataset.passkey === "create") {
    const asked = options.creation_options.publicKey;
    Object.assign(asked.authenticatorSelection, {
      residentKey: "required", requireResidentKey: true, userVerification: "required",
    });
    return navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(asked) });
  }
  const asked = options.request_options.publicKey;
  return navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(asked) });
}

const forms = window.PublicKeyCredential?.parseRequestOptionsFromJSON ? document.querySelectorAll("[data-passkey]") : [];
for (const form of forms) {
  form.hidden = false;
  const button = form.querySelector("[data-passkey-ask]");
  const said = form.querySelector("[data-passkey-said]");
  button.addEventListener("click", async () => {
    button.disabled = true;
    said.textContent = "";
    try {
      form.elements.credential.value = JSON.stringify(await credentialAsk(form));
      form.submit();
    } catch {
      said.textContent = "No passkey was used. Try again, or choose another way.";
      button.disabled = false;
    }
  });
}
