// All texts of the inspector, in the languages that it has.

import { chinese } from "../web/chinese.js";
import { chineseFiles } from "../web/chinese_files.js";
import { chineseStream } from "../web/chinese_stream.js";

export const TEXTS = { zh: { ...chinese, ...chineseStream, ...chineseFiles } };
