// Entry point of the page.

import { setUpAnswer } from "./answer.js";
import { setUpComparison } from "./comparison.js";
import { setUpDocumentation } from "./documentation.js";
import { setUpEcho } from "./echo.js";
import { setUpFailures } from "./failures.js";
import { offerInspector } from "./inspector_link.js";
import { setUpOwnUse } from "./own_use.js";
import { setUpSurvival } from "./kept.js";
import { preferredLanguage, speak } from "./text.js";
import { setUpVariants } from "./variants.js";
import { testid } from "./web/dom.js";

/** What the page cannot know by itself; nothing, if it is not told.
 *
 * {holding, version, docs}: the origin of the holding hop, the running version, and
 * whether the page server has the documentation.
 */
async function readSettings() {
  try {
    const response = await fetch("/settings.json", { cache: "no-store" });
    const { holding_port: port, version, docs } = await response.json();
    const holding = port && `http://${location.hostname}:${port}`;
    return { holding, version, docs };
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
setUpEcho();
setUpFailures();
setUpOwnUse();
offerInspector("list");

for (const button of document.querySelectorAll("[data-language]")) {
  button.addEventListener("click", () => {
    speak(button.dataset.language, { chosen: true });
  });
}

const { version, docs } = await settings;
setUpDocumentation({ docs });
if (version) {
  testid("version").textContent = `Unbuffered ${version}`;
}
