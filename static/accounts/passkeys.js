// A form with `data-passkey` asks the browser for a credential before it is sent:
// "create" and "get" find their options in the page, "login" fetches them from the form's own address.

const REFUSALS = {
  NotAllowedError: "Nothing was confirmed. Try again, and follow what the browser asks.",
  InvalidStateError: "This device or key already has a passkey for your account.",
  NotSupportedError: "This device or key cannot do what is asked. Try another one.",
  SecurityError: "Passkeys do not work at this address.",
};
const UNSUPPORTED = "This browser has no passkeys here. They need HTTPS (or localhost) and a recent browser.";

const ceremonies = {
  create: (form) => webauthnJSON.create(creationOptions(form)),
  get: () => webauthnJSON.get(optionsInPage().request_options),
  login: async (form) => webauthnJSON.get((await fetchOptions(form)).request_options),
};

function optionsInPage() {
  return JSON.parse(document.getElementById("passkey-options").textContent);
}

function creationOptions(form) {
  const options = optionsInPage().creation_options;
  const selection = options.publicKey.authenticatorSelection;
  const alone = form.elements.passwordless.checked;
  selection.residentKey = alone ? "required" : "discouraged";
  selection.requireResidentKey = alone;
  if (alone) selection.userVerification = "required";
  return options;
}

async function fetchOptions(form) {
  const response = await fetch(form.action, { headers: { Accept: "application/json" } });
  if (response.status === 429) throw new Refusal("Too many tries in a short time. Wait a minute, then try again.");
  if (!response.ok) throw new Refusal("The server did not answer as expected. Reload the page and try again.");
  return response.json();
}

class Refusal extends Error {}

function tell(error) {
  const text = error instanceof Refusal ? error.message : REFUSALS[error.name];
  if (!text) throw error;
  document.dispatchEvent(new CustomEvent("toast", { detail: { text, level: "error" } }));
}

document.addEventListener("submit", async (event) => {
  const form = event.target.closest("form[data-passkey]");
  if (!form) return;
  event.preventDefault();
  try {
    if (!webauthnJSON.supported()) throw new Refusal(UNSUPPORTED);
    const credential = await ceremonies[form.dataset.passkey](form);
    form.elements.credential.value = JSON.stringify(credential);
    form.submit();
  } catch (error) {
    tell(error);
  }
});
