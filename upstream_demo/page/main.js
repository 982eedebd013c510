// Entry point of the page.

import { setUpAnswer } from "./answer.js";
import { setUpComparison } from "./comparison.js";
import { setUpFailures } from "./failures.js";
import { setUpSurvival } from "./kept.js";
import { preferredLanguage, speak } from "./text.js";
import { setUpVariants } from "./variants.js";
import { testid } from "./web/dom.js";

/** {holding, version}: the origin of the holding hop and the running version; or neither. */
async function readSettings() {
  try {
    const response = await fetch("/settings.json", { cache: "no-store" });
    const { holding_port: port, version } = await response.json();
    const holding = port && `http://${location.hostname}:${port}`;
    return { holding, version };
  } catch {
    return {};
  }
}

const settings = readSettings();

speak(preferredLanguage());
setUpComparison(settings);
setUpAnswer();
setUpSurvival();
setUpVariants();
setUpFailures();

for (const button of document.querySelectorAll("[data-language]")) {
  button.addEventListener("click", () => {
    speak(button.dataset.language, { chosen: true });
  });
}

const { version } = await settings;
if (version) {
  testid("version").textContent = `Unbuffered ${version}`;
}
