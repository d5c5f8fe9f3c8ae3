// Draws the interactive elements of Block Kit.
// https://docs.slack.dev/reference/block-kit/block-elements
//
// A `host` is an element's context: { reader, answers, blockId, label, live, act, suggest }. `live` elements notify the bot
// at once, through act(action, node); others keep their value until the modal is submitted.
import { toSlackValue } from "./answers.js";
import { unixOf, wallOf } from "./dates.js";
import { confirmed } from "./dialogs.js";
import { h, icon } from "./dom.js";
import { multiPicker, openMenu, searchPicker } from "./menu.js";
import { plain, safeUrl, textObject } from "./mrkdwn.js";

/** The element as a DOM node; an unknown type is a labelled grey box. */
export function control(element, host) {
  const draw = Object.hasOwn(CONTROLS, element.type) ? CONTROLS[element.type] : null;
  if (!draw) return h("span", { class: "unknown" }, `${element.type ?? "element"} (not supported by the demo)`);
  const node = draw(element, host);
  const target = node.matches("fieldset, button, a, select, input, textarea")
    ? node
    : (node.querySelector("input, textarea, button") ?? node);
  Object.assign(target.dataset, { actionId: element.action_id ?? "", field: `${host.blockId}/${element.action_id}` });
  return node;
}

const common = (element, host) => ({ block_id: host.blockId, action_id: element.action_id });

async function press(element, host, node, extra) {
  if (!(await confirmed(element.confirm, host.reader))) return false;
  await host.act({ type: element.type, ...common(element, host), ...extra }, node);
  return true;
}

/** Stores a new value and, for live elements, notifies the bot; `undo` restores the old one if not confirmed. */
async function settle(element, host, node, answer, undo = () => {}) {
  const before = host.answers.read(host.blockId, element);
  host.answers.write(host.blockId, element, answer);
  if (!host.live || (await press(element, host, node, toSlackValue(element, answer)))) return;
  host.answers.write(host.blockId, element, before ?? null);
  undo();
}

function button(element, host) {
  const style = ["primary", "danger"].includes(element.style) ? ` ${element.style}` : "";
  const label = element.accessibility_label ?? null;
  const href = element.url && safeUrl(element.url);
  const extra = element.value === undefined ? {} : { value: element.value };
  const props = { class: `button${style}`, "aria-label": label, onclick: () => press(element, host, node, extra) };
  const link = { href, target: "_blank", rel: "noopener noreferrer" };
  const node = href
    ? h("a", { ...props, ...link }, textObject(element.text, host.reader))
    : h("button", { ...props, type: "button" }, textObject(element.text, host.reader));
  return node;
}

function overflow(element, host) {
  const choose = (option) => press(element, host, node, { selected_option: option });
  const items = (element.options ?? []).map((option) => ({
    label: plain(option.text),
    detail: option.description && plain(option.description),
    url: option.url && safeUrl(option.url),
    act: () => choose(option),
  }));
  const node = h(
    "button",
    {
      type: "button",
      class: "button square",
      "aria-label": "More actions",
      "aria-haspopup": "menu",
      onclick: () => openMenu(node, items),
    },
    icon("more"),
  );
  return node;
}

/** The options of a select as {id, label, answer, group}: its own, or the workspace's people and channels. */
function choices(element, { reader }) {
  if (/users_select$/.test(element.type))
    return [...reader.users.values()].map((user) => ({ id: user.id, label: user.real_name, answer: user.id }));
  if (/(channels|conversations)_select$/.test(element.type)) return places(element, reader);
  const option = (group) => (each) => ({ id: each.value, label: plain(each.text), answer: each, group });
  if (element.option_groups)
    return element.option_groups.flatMap((group) => group.options.map(option(plain(group.label))));
  return (element.options ?? []).map(option(null));
}

function places(element, reader) {
  const include = /channels_select$/.test(element.type)
    ? ["public"]
    : (element.filter?.include ?? ["public", "private", "im"]);
  const kind = (channel) => (channel.im ? "im" : channel.private ? "private" : "public");
  const outside = (channel) => channel.external && element.filter?.exclude_external_shared_channels;
  return [...reader.channels.values()]
    .filter((channel) => include.includes(kind(channel)) && !channel.archived && !outside(channel))
    .map((channel) => ({ id: channel.id, label: channel.im ? channel.name : `# ${channel.name}`, answer: channel.id }));
}

const idOf = (answer) => (answer && typeof answer === "object" ? answer.value : (answer ?? ""));

function select(element, host) {
  const offered = choices(element, host);
  const chosen = idOf(host.answers.read(host.blockId, element));
  const option = ({ id, label }) => h("option", { value: id, selected: id === chosen }, label);
  const groups = [...new Set(offered.map(({ group }) => group ?? null))].map((group) => {
    const options = offered.filter((choice) => (choice.group ?? null) === group).map(option);
    return group ? h("optgroup", { label: group }, options) : options;
  });
  const node = h(
    "select",
    { "aria-label": host.label ?? (plain(element.placeholder) || "Choose") },
    h("option", { value: "", selected: !chosen, hidden: !host.optional }, plain(element.placeholder) || "Choose…"),
    groups,
  );
  node.addEventListener("change", () => {
    const answer = offered.find(({ id }) => id === node.value)?.answer ?? null;
    settle(element, host, node, answer, () => {
      node.value = chosen;
    });
  });
  return node;
}

function multiSelect(element, host) {
  const offered = choices(element, host);
  const node = multiPicker({
    label: host.label ?? plain(element.placeholder),
    placeholder: plain(element.placeholder) || "Choose…",
    choices: offered,
    chosen: (host.answers.read(host.blockId, element) ?? []).map(idOf),
    limit: element.max_selected_items,
    onClose: (ids) =>
      settle(
        element,
        host,
        node,
        ids.map((id) => offered.find((choice) => choice.id === id).answer),
      ),
  });
  return node;
}

/** A menu whose options the bot loads while typing; from three characters on unless the element says otherwise. */
const externalSelect = (several) => (element, host) => {
  const choice = (option) => ({ id: option.value, label: plain(option.text), answer: option });
  const before = host.answers.read(host.blockId, element);
  const node = searchPicker({
    label: host.label ?? plain(element.placeholder),
    placeholder: plain(element.placeholder) || "Choose…",
    chosen: (several ? (before ?? []) : [before].filter(Boolean)).map(choice),
    limit: several ? element.max_selected_items : 1,
    least: element.min_query_length ?? 3,
    load: async (typed) => {
      const said = await host.suggest?.(element, host.blockId, typed); // supported only in modals
      return said?.ok ? said.options.map(choice) : null;
    },
    onClose: (choices) => {
      const answers = choices.map(({ answer }) => answer);
      settle(element, host, node, several ? answers : (answers[0] ?? null));
    },
  });
  return node;
};

/** Date and time pickers; `read` and `write` translate between Slack's answer and the browser's field. */
const picker =
  (type, read = (answer) => answer ?? "", write = (text) => text || null) =>
  (element, host) => {
    const value = () => read(host.answers.read(host.blockId, element), host.reader);
    const node = h("input", {
      type,
      value: value(),
      "aria-label": host.label ?? (plain(element.placeholder) || "Pick"),
    });
    node.addEventListener("change", () =>
      settle(element, host, node, write(node.value, host.reader), () => {
        node.value = value();
      }),
    );
    return node;
  };

/** Checkboxes and radio buttons. */
const tickList = (type) => (element, host) => {
  const several = type === "checkbox";
  const before = host.answers.read(host.blockId, element);
  const chosen = new Set((several ? (before ?? []) : [before]).map(idOf));
  const name = `${host.blockId}/${element.action_id}/${crypto.randomUUID()}`;
  const inputs = element.options.map((option) =>
    h("input", { type, name, value: option.value, checked: chosen.has(option.value) }),
  );
  const rows = element.options.map((option, index) =>
    h(
      "label",
      { class: "tick" },
      inputs[index],
      h(
        "span",
        {},
        textObject(option.text, host.reader),
        option.description && h("small", {}, textObject(option.description, host.reader)),
      ),
    ),
  );
  const node = h("fieldset", { class: "ticks", "aria-label": host.label ?? "Options" }, rows);
  node.addEventListener("change", () => {
    const ticked = element.options.filter((_, index) => inputs[index].checked);
    const undo = () =>
      inputs.forEach((input) => {
        input.checked = chosen.has(input.value);
      });
    settle(element, host, node, several ? ticked : ticked[0], undo);
  });
  return node;
};

const textInput = (type) => (element, host) => {
  const value = host.answers.read(host.blockId, element) ?? "";
  const props = {
    placeholder: plain(element.placeholder),
    maxlength: element.max_length,
    "aria-label": host.label,
    autofocus: element.focus_on_load ?? null,
    inputmode: type === "number" ? "decimal" : null,
  };
  const node = element.multiline ? h("textarea", { ...props, rows: 4 }) : h("input", { ...props, type: "text" });
  node.value = value;
  const triggers = element.dispatch_action_config?.trigger_actions_on ?? ["on_enter_pressed"];
  node.addEventListener("input", () => {
    host.answers.write(host.blockId, element, node.value);
    // The bot is notified without disabling the field, which would lose the focus.
    if (host.live && triggers.includes("on_character_entered"))
      press(element, host, document.createElement("span"), toSlackValue(element, node.value));
  });
  node.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !host.live || (element.multiline && event.shiftKey)) return;
    if (!triggers.includes("on_enter_pressed")) return;
    event.preventDefault();
    settle(element, host, node, node.value);
  });
  return node;
};

const CONTROLS = {
  button,
  overflow,
  static_select: select,
  users_select: select,
  channels_select: select,
  conversations_select: select,
  external_select: externalSelect(false),
  multi_external_select: externalSelect(true),
  multi_static_select: multiSelect,
  multi_users_select: multiSelect,
  multi_channels_select: multiSelect,
  multi_conversations_select: multiSelect,
  datepicker: picker("date"),
  timepicker: picker("time"),
  datetimepicker: picker(
    "datetime-local",
    (unix, { you }) => (unix ? wallOf(unix, you.tz) : ""),
    (wall, { you }) => unixOf(wall, you.tz),
  ),
  checkboxes: tickList("checkbox"),
  radio_buttons: tickList("radio"),
  plain_text_input: textInput("text"),
  email_text_input: textInput("email"),
  url_text_input: textInput("url"),
  number_input: textInput("number"),
};
