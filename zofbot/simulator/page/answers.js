// Stores a person's inputs, in the format of Slack's payloads.
// https://docs.slack.dev/reference/block-kit/block-elements

// type of element -> [the field of its value, the element's field of the initial value]
const FIELDS = {
  plain_text_input: ["value", "initial_value"],
  email_text_input: ["value", "initial_value"],
  url_text_input: ["value", "initial_value"],
  number_input: ["value", "initial_value"],
  static_select: ["selected_option", "initial_option"],
  users_select: ["selected_user", "initial_user"],
  channels_select: ["selected_channel", "initial_channel"],
  conversations_select: ["selected_conversation", "initial_conversation"],
  external_select: ["selected_option", "initial_option"],
  multi_static_select: ["selected_options", "initial_options"],
  multi_external_select: ["selected_options", "initial_options"],
  multi_users_select: ["selected_users", "initial_users"],
  multi_channels_select: ["selected_channels", "initial_channels"],
  multi_conversations_select: ["selected_conversations", "initial_conversations"],
  datepicker: ["selected_date", "initial_date"],
  timepicker: ["selected_time", "initial_time"],
  datetimepicker: ["selected_date_time", "initial_date_time"],
  checkboxes: ["selected_options", "initial_options"],
  radio_buttons: ["selected_option", "initial_option"],
};

const isPlural = (type) => type.startsWith("multi_") || type === "checkboxes";

/** A value as Slack sends it: {type, selected_option: …}; an empty one is null, or [] in a multi-select. */
export function toSlackValue(element, answer) {
  const [field] = FIELDS[element.type];
  const empty = answer === undefined || answer === null || answer === "";
  return { type: element.type, [field]: empty ? (isPlural(element.type) ? [] : null) : answer };
}

/**
 * The inputs of one view or message, by block and action.
 * They are stored outside the DOM, so an updated view keeps them wherever block and action keep
 * their ids: as Slack does.
 */
export class Answers {
  #chosen = new Map();

  read(blockId, element) {
    const chosen = this.#chosen.get(`${blockId}\n${element.action_id}`);
    return chosen === undefined ? element[FIELDS[element.type][1]] : chosen;
  }

  write(blockId, element, answer) {
    this.#chosen.set(`${blockId}\n${element.action_id}`, answer);
  }

  /** Slack's `state.values` of these blocks. */
  values(blocks) {
    const values = {};
    for (const [blockId, element] of elementsOf(blocks)) {
      if (!FIELDS[element.type]) continue;
      values[blockId] ??= {};
      values[blockId][element.action_id] = toSlackValue(element, this.read(blockId, element));
    }
    return values;
  }

  /** Errors that the Slack client reports itself before submitting: {block_id: sentence}. */
  clientErrors(blocks) {
    const inputs = blocks.filter((block) => block.type === "input" && block.element && FIELDS[block.element.type]);
    const pairs = inputs.map((block) => [block.block_id, clientError(block, this.read(block.block_id, block.element))]);
    return Object.fromEntries(pairs.filter(([, sentence]) => sentence));
  }
}

function clientError({ element, optional }, answer) {
  const empty = answer === undefined || answer === null || answer === "" || answer.length === 0;
  if (empty) return optional ? null : "Please complete this required field.";
  if (answer.length < element.min_length) return `Please type at least ${element.min_length} characters.`;
  if (element.type === "number_input" && !inRange(Number(answer), element))
    return "Please type a number in the allowed range.";
  return null;
}

const inRange = (number, { min_value: low = -Infinity, max_value: high = Infinity }) =>
  number >= Number(low) && number <= Number(high);

function elementsOf(blocks) {
  return blocks.flatMap((block) => {
    const elements = { input: [block.element], section: [block.accessory], actions: block.elements }[block.type] ?? [];
    return elements.filter(Boolean).map((element) => [block.block_id, element]);
  });
}
