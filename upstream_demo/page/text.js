// The texts of this page, in the language that is spoken.

import { chinese } from "./chinese.js";
import { english } from "./english.js";
import { learn } from "./web/language.js";

export { markLanguage, phrase, preferredLanguage, say, show, speak } from "./web/language.js";

learn({ en: english, zh: chinese });
