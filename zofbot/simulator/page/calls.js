// Lists the bot's calls to Zof, with their request ids, and to Slack.
import { preciseTime } from "./dates.js";
import { h, icon } from "./dom.js";

const WORDS = {
  200: "OK",
  201: "Created",
  202: "Accepted",
  204: "No content",
  301: "Moved",
  302: "Found",
  304: "Not modified",
  400: "Bad request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not found",
  408: "Timeout",
  409: "Conflict",
  413: "Too large",
  422: "Unprocessable",
  429: "Too many requests",
  500: "Server error",
  502: "Bad gateway",
  503: "Unavailable",
  504: "Gateway timeout",
};

/** Entries for reconcile(), newest first. */
export const zofEntries = (calls, reader) => entries(calls, (call) => zofCall(call, reader));

/** Entries for Slack's methods. */
export const slackEntries = (calls, reader) => entries(calls, (call) => slackCall(call, reader));

const entries = (calls, draw) =>
  calls.toReversed().map((call) => ({ key: call.n, print: JSON.stringify(call), build: () => draw(call) }));

function zofCall(call, reader) {
  const [tone, words] = verdict(call.status);
  return h(
    "li",
    { class: "call", data: { testid: "zof-call", n: call.n, status: call.status ?? "" } },
    h(
      "div",
      { class: "call-top" },
      h("span", { class: `pill ${tone}` }, words),
      call.fault &&
        h("span", { class: "pill fault", title: "Chosen in the Faults tab" }, `fault: ${call.fault}`),
      h("span", { class: "ms" }, milliseconds(call.ms)),
    ),
    h("div", { class: "path" }, h("b", {}, call.method), " ", call.path),
    h("div", { class: "call-foot" }, preciseTime(call.at, reader.you.tz), requestId(call.request_id)),
  );
}

function verdict(status) {
  if (status === null) return ["bad", "No answer"];
  const tone = status < 300 ? "good" : status < 400 ? "plain" : status === 429 || status < 500 ? "warn" : "bad";
  return [tone, `${status} ${WORDS[status] ?? ""}`.trim()];
}

function milliseconds(ms) {
  if (ms === null || ms === undefined) return "…";
  return ms < 1 ? "< 1 ms" : `${Math.round(ms).toLocaleString("en")} ms`;
}

function requestId(id) {
  if (!id) return h("span", { class: "faint" }, "no request id");
  const button = h(
    "button",
    {
      type: "button",
      class: "copy",
      title: "Copy the request id",
      "aria-label": `Copy request id ${id}`,
      onclick: () => copy(id, button),
    },
    h("code", {}, id),
    icon("copy"),
  );
  return button;
}

async function copy(text, button) {
  await navigator.clipboard.writeText(text);
  button.classList.add("copied");
  setTimeout(() => button.classList.remove("copied"), 1200);
}

function slackCall(call, reader) {
  const channel = call.channel && (reader.channels.get(call.channel)?.name ?? call.channel);
  return h(
    "li",
    { class: "call", data: { testid: "slack-call", n: call.n, method: call.method } },
    h(
      "div",
      { class: "call-top" },
      h("span", { class: `pill ${call.ok ? "good" : "bad"}` }, call.ok ? "ok" : (call.error ?? "failed")),
      h("span", { class: "path" }, call.method),
    ),
    h(
      "div",
      { class: "call-foot" },
      preciseTime(call.at, reader.you.tz),
      channel && h("span", { class: "faint" }, `#${channel}`),
    ),
  );
}
