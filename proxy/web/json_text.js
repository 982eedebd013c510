// JSON for a reader.

/** An object or array of JSON indented; any other text as it is. */
export function indented(text) {
  const first = text.trimStart()[0];
  if (first !== "{" && first !== "[") return text;
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
