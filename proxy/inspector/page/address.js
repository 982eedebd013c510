// What the address asks for, after its "#": the list, an exchange, or a way to find one. Pure.

const FILE = "file:"; // before the name of a file

/**
 * {} is the list, {id} an exchange, {file} a file that was opened, {request} the exchange
 * that has this request id, {path} the newest one whose path begins so.
 */
export function wanted(hash) {
  const text = decoded(hash.slice(1));
  if (text === "") return {};
  if (text.startsWith(FILE)) return { file: text.slice(FILE.length) };
  const [, key, value] = /^(request|path)=(.+)$/s.exec(text) ?? [];
  return key ? { [key]: value } : { id: text };
}

export function hashOfFile(name) {
  return `#${FILE}${encodeURIComponent(name)}`;
}

// A percent sign that stands for itself, as somebody typed it.
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
