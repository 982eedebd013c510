// The form that asks for the token. It works without this module, too; with it the page
// stays at its address, so that the exchange in it is shown.

import { languageSwitch } from "../ui/language_switch.js";
import { TEXTS } from "../ui/texts.js";
import { learn, phrase, preferredLanguage, speak, translated } from "../web/language.js";

const form = document.querySelector("form");
const input = form.elements.token;
const submit = form.querySelector("button");
const said = document.getElementById("said");

const title = document.title;
const SENDABLE = /^[!-~]+$/; // in a field

let asking = false;

function say(text) {
  said.textContent = text;
  input.setAttribute("aria-invalid", String(text !== ""));
}

function titled() {
  document.title = phrase(title);
}

/** What the proxy gives as a reason, as a sentence. */
async function reasonOf(response) {
  try {
    const { message } = (await response.json()).error;
    return translated(`${message[0].toUpperCase()}${message.slice(1)}.`);
  } catch {
    return phrase("The proxy responded with status {0}.", response.status);
  }
}

// By hand: where it leads, this page knows already.
const ask = (how) => fetch("login", { cache: "no-store", redirect: "manual", ...how });

// A proxy in front that changes Host has the form look like one of another origin. A
// field that no page of another origin can send does not.
async function show() {
  const token = input.value;
  say("");
  try {
    let response = await ask({ method: "POST", body: new URLSearchParams({ token }) });
    if (response.status === 403 && SENDABLE.test(token)) {
      response = await ask({ headers: { Authorization: `Bearer ${token}` } });
    }
    if (response.type === "opaqueredirect") {
      location.reload();
      return;
    }
    say(await reasonOf(response));
  } catch {
    say(phrase("The proxy does not answer."));
  }
  input.select();
  input.focus();
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (asking) return;
  asking = true;
  submit.setAttribute("aria-disabled", "true");
  await show();
  submit.removeAttribute("aria-disabled");
  asking = false;
});

learn(TEXTS);
languageSwitch();
speak(preferredLanguage());
document.addEventListener("languagechange", titled);
titled();

// A wrong token does not stay in the address, nor in the history.
const address = new URL(location.href);
if (address.searchParams.has("token")) {
  address.searchParams.delete("token");
  history.replaceState(null, "", address);
}
if (said.textContent !== "") say(translated(said.textContent));

// A link on a page of another origin has brought the right token and got the cookie, but
// a browser does not send that along with the redirect that follows (SameSite=Strict).
const [navigation] = performance.getEntriesByType("navigation");
if (navigation?.redirectCount > 0) location.reload();
