// Words for what the proxy calls by a name of its own: how an error is called.

import { chineseMeaning } from "../web/chinese_errors.js";
import { language, phrase } from "../web/language.js";

/** The types of RFC 9209 §2.3 that the proxy gives, in a few words. */
const NAMES = {
  client_disconnected: "The client left",
  connection_limit_reached: "Too many connections",
  connection_refused: "Connection refused",
  connection_terminated: "The upstream closed the connection",
  connection_timeout: "No connection in time",
  connection_write_timeout: "The peer did not read in time",
  destination_ip_unroutable: "The target is unreachable",
  destination_not_found: "No route",
  destination_unavailable: "The target is not available",
  dns_error: "The host name is unknown",
  http_protocol_error: "Malformed HTTP from the upstream",
  http_request_denied: "Too many streams",
  http_request_error: "The request was refused",
  http_response_content_coding: "Wrong content coding",
  http_response_incomplete: "The response was cut off",
  http_response_timeout: "The upstream sent nothing in time",
  proxy_internal_error: "Error inside the proxy",
  proxy_internal_response: "The proxy answered itself",
  proxy_loop_detected: "The request goes in circles",
  tls_certificate_error: "The certificate is not trusted",
  tls_protocol_error: "TLS failed",
};

/** A heading for an error; "" where nothing is known of it. */
export function errorTitle(type) {
  return Object.hasOwn(NAMES, type ?? "") ? phrase(NAMES[type]) : "";
}

/** What to put before a message, which is in English: "" where the page is, too. */
export function errorName(type, message) {
  return language() === "en" ? "" : chineseMeaning(message) || errorTitle(type);
}
