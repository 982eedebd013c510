// Links to the inspector, each beside the stream that it shows: from when it has begun.
//
// The inspector may be off, or closed to this browser: then there are none.

const INSPECTOR = "/_unbuffered/";

let open; // a promise: may this browser look?

/** Show the link that `name` stands for, if there is something to look at. */
export function offerInspector(name) {
  offer(document.querySelector(`[data-watch=${name}]`));
}

/** Show `link`, if the inspector is open to this browser. */
export async function offer(link) {
  open ??= mayLook();
  link.hidden = !(await open);
}

async function mayLook() {
  try {
    const { ok, status } = await fetch(INSPECTOR, { method: "HEAD", cache: "no-store" });
    return ok || status === 401; // it asks for its token
  } catch {
    return false;
  }
}
