// Computes the composer's suggestions: commands, their verbs, people, channels. Does not use the DOM.

/**
 * { from, to, items: [{ text, label, detail }], hint: {label, detail}|null } for the text before the caret.
 * Choosing an item replaces from..to by its text.
 */
export function offers(typed, caret, { commands, users, channels }) {
  const before = typed.slice(0, caret);
  const slash = before.match(/^\/\S*$/);
  if (slash) return span(0, caret, commands.filter(({ command }) => command.startsWith(before)).map(commandItem));
  const command = commands.find((each) => before.startsWith(`${each.command} `));
  if (command && !/[@#][\w.-]*$/.test(before)) return verbOffers(command, before, caret);
  const name = before.match(/(^|\s)([@#])([\w.-]*)$/);
  if (!name) return span(caret, caret, []);
  const [, , sign, start] = name;
  const from = caret - start.length - 1;
  return span(from, caret, sign === "@" ? people(users, start) : channelItems(channels, start));
}

const span = (from, to, items, hint = null) => ({ from, to, items: items.slice(0, 8), hint });

const commandItem = ({ command, usage_hint: usage, description }) => ({
  text: `${command} `,
  label: usage ? `${command} ${usage}` : command,
  detail: description,
});

function verbOffers(command, before, caret) {
  const from = command.command.length + 1;
  const [typedVerb, ...rest] = before.slice(from).split(" ");
  const verbs = command.verbs ?? [];
  const exact = verbs.find((verb) => verbName(verb) === typedVerb);
  if (rest.length)
    return span(
      caret,
      caret,
      [],
      exact ? { label: `${command.command} ${exact.usage}`, detail: bare(exact.does) } : null,
    );
  const matching = verbs.filter((verb) => verbName(verb) && verbName(verb).startsWith(typedVerb));
  // Exact matches come first, so that Enter on "run" does not complete it to "runs".
  matching.sort((first, second) => (verbName(second) === typedVerb) - (verbName(first) === typedVerb));
  return span(
    from,
    caret,
    matching.map((verb) => ({ text: `${verbName(verb)} `, label: verb.usage, detail: bare(verb.does) })),
  );
}

/** Removes code marks, which are not rendered in suggestions. */
const bare = (text) => text.replaceAll("`", "");

/** The first word of "result <id> [share]"; empty for a usage that starts with a placeholder. */
const verbName = ({ usage }) => usage.match(/^[\w-]+/)?.[0] ?? "";

const starts = (start) => (word) => word.toLowerCase().startsWith(start.toLowerCase());

const people = (users, start) =>
  users
    .filter(({ name, real_name: real }) => [name, ...real.split(" ")].some(starts(start)))
    .map(({ name, real_name: real }) => ({ text: `@${name} `, label: real, detail: `@${name}` }));

const channelItems = (channels, start) =>
  channels
    .filter(({ name, im }) => !im && starts(start)(name))
    .map(({ name, topic }) => ({ text: `#${name} `, label: `#${name}`, detail: topic }));
