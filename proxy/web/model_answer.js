// What a stream has told of a model's answer, in words.

import { phrase } from "./language.js";
import { count } from "./quantities.js";

/** Tokens per second, as far as they tell answers apart. */
export function speed({ tokens_per_second: each }) {
  return each >= 100 ? count(Math.round(each)) : each.toFixed(1);
}

/** "12 in, 345 out"; null if nothing was told. */
export function tokens(answer) {
  if (!answer) return null;
  const told = [];
  if (answer.input_tokens != null) told.push(phrase("{0} in", count(answer.input_tokens)));
  if (answer.output_tokens != null) told.push(phrase("{0} out", count(answer.output_tokens)));
  return told.join(phrase(", ")) || null;
}

/** For a row of the list: "gpt-x, 345 tokens, 56.1/s"; empty if nothing was told. */
export function inShort(answer) {
  if (!answer) return "";
  const told = [];
  if (answer.model) told.push(answer.model);
  if (answer.output_tokens != null) told.push(phrase("{0} tokens", count(answer.output_tokens)));
  if (answer.tokens_per_second) told.push(`${speed(answer)}/s`);
  return told.join(phrase(", "));
}
