// Answers of language models that arrive in parts: the text that each part adds.
//
// Knows the shapes of OpenAI (chat, completions, responses), Anthropic, Ollama
// and Gemini. Pure: a parsed object in, [{channel, text}, …] out.

const RESPONSES = {
  "response.output_text.delta": "answer",
  "response.refusal.delta": "refusal",
  "response.reasoning_text.delta": "reasoning",
  "response.reasoning_summary_text.delta": "reasoning",
  "response.function_call_arguments.delta": "call",
  "response.mcp_call_arguments.delta": "call",
  "response.code_interpreter_call_code.delta": "code",
  "response.audio.transcript.delta": "transcript",
};

/** The text that `value` adds to an answer; empty if it is not a delta. */
export function deltas(value) {
  try {
    return found(value);
  } catch {
    return []; // it has the names of a delta, but not its shape
  }
}

function found(value) {
  if (value === null || typeof value !== "object") return [];
  const parts = [];
  const add = (channel, text) => {
    if (typeof text === "string" && text !== "") parts.push({ channel, text });
  };
  if (Array.isArray(value.choices)) value.choices.forEach((each) => choice(each, add));
  else if (typeof value.type === "string") typed(value, add);
  else if (Array.isArray(value.candidates)) value.candidates.forEach((each) => gemini(each, add));
  else ollama(value, add);
  return parts;
}

function choice(given, add) {
  const prefix = given?.index ? `choice ${given.index + 1}: ` : "";
  add(`${prefix}answer`, given?.text);
  const delta = given?.delta;
  if (!delta) return;
  add(`${prefix}reasoning`, delta.reasoning_content ?? delta.reasoning);
  add(`${prefix}answer`, delta.content);
  add(`${prefix}refusal`, delta.refusal);
  for (const call of delta.tool_calls ?? []) {
    const channel = `${prefix}call ${(call.index ?? 0) + 1}`;
    if (call.function?.name) add(channel, `${call.function.name} `);
    add(channel, call.function?.arguments);
  }
}

function typed(value, add) {
  if (Object.hasOwn(RESPONSES, value.type)) {
    const index = value.output_index ? ` ${value.output_index + 1}` : "";
    add(`${RESPONSES[value.type]}${index}`, value.delta);
  } else if (value.type === "content_block_start") {
    const block = value.content_block ?? {};
    const channel = blockChannel(value.index, block.type);
    add(channel, block.text || block.thinking);
    if (block.name) add(`call ${value.index + 1}`, `${block.name} `);
  } else if (value.type === "content_block_delta") {
    const { delta = {}, index } = value;
    add("answer", delta.text);
    add("reasoning", delta.thinking);
    add(`call ${index + 1}`, delta.partial_json);
  }
}

function blockChannel(index, type) {
  if (type === "thinking") return "reasoning";
  return type === "text" ? "answer" : `call ${index + 1}`;
}

function gemini(candidate, add) {
  for (const part of candidate?.content?.parts ?? []) {
    add(part.thought ? "reasoning" : "answer", part.text);
  }
}

function ollama(value, add) {
  if (typeof value.done !== "boolean") return;
  add("reasoning", value.message?.thinking ?? value.thinking);
  add("answer", value.message?.content ?? value.response);
}

/** Deltas joined into running text, of bounded length. */
export class Joiner {
  constructor(limit = 1024 * 1024) {
    this.limit = limit;
    this.clear();
  }

  clear() {
    this.parts = []; // {channel, text}, in order of their first text
    this.length = 0;
    this.dropped = 0; // characters beyond the limit
    this.count = 0;
  }

  add({ channel, text }) {
    this.count += 1;
    const taken = text.slice(0, Math.max(0, this.limit - this.length));
    this.dropped += text.length - taken.length;
    this.length += taken.length;
    if (taken === "") return;
    const last = this.parts.at(-1);
    const same = last?.channel === channel ? last : this.#open(channel);
    if (same) same.text += taken;
    else this.parts.push({ channel, text: taken });
  }

  // Parallel calls or choices may alternate; reasoning and answer start a new part.
  #open(channel) {
    if (!/\d/.test(channel)) return undefined;
    return this.parts.find((part) => part.channel === channel);
  }
}
