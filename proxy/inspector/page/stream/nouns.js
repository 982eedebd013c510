// What the records of a stream are called: its events, objects, frames and pieces.

/** {one, many} with the number as {0}; {plural, search, list, selected} without. */
export const NOUNS = {
  event: { one: "{0} event", many: "{0} events", plural: "Events", search: "Search events …", selected: "Selected event" },
  object: { one: "{0} object", many: "{0} objects", plural: "Objects", search: "Search objects …", selected: "Selected object" },
  frame: { one: "{0} frame", many: "{0} frames", plural: "Frames", search: "Search frames …", selected: "Selected frame" },
  piece: { one: "{0} piece", many: "{0} pieces", plural: "Pieces", search: "Search pieces …", selected: "Selected piece" },
};
