// What a file is, and the exchanges in it.

import { phrase } from "../web/language.js";
import { harEntries } from "./har_file.js";
import { FileFault, isObject, readRecord } from "./record_file.js";

const LARGEST = 256 * 1024 * 1024; // bytes; the page would keep less of it than that

/** {number, label, read()} of each exchange; `read` gives {exchange, pieces}. */
export async function openFile(file) {
  const { name } = file;
  if (file.size > LARGEST) throw new FileFault(phrase("{0} is larger than {1} MiB: convert the entry that you need (unbuffered convert --entry)", name, LARGEST / 1024 / 1024));
  const entries = exchangesIn(await file.text(), name);
  if (!entries.length) throw new FileFault(phrase("{0} has no exchange by HTTP", name));
  return entries;
}

/** The same, of its text. */
export function exchangesIn(given, name) {
  const text = given.replace(/^\ufeff/, "");
  if (isRecord(text)) return [{ number: 0, label: name, read: () => readRecord(text, name) }];
  let har = null;
  try {
    har = JSON.parse(text);
  } catch (error) {
    throw new FileFault(phrase("{0} is not a record and not a HAR: {1}", name, error.message));
  }
  if (!isObject(har) || !isObject(har.log)) throw new FileFault(phrase('{0} is not a record and not a HAR: it has no object "log"', name));
  return harEntries(har, name);
}

/** Lines of JSON, and not one object with a "log"? */
function isRecord(text) {
  if (text.trim() === "") return true; // of which its reader says that it is empty
  const line = text.trimStart().split("\n", 1)[0];
  if (/^\{\s*"log"/.test(line)) return false;
  if (/^\{\s*"unbuffered"/.test(line)) return true;
  try {
    const first = JSON.parse(line);
    return !isObject(first) || first.log === undefined;
  } catch {
    return false;
  }
}
