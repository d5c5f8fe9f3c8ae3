// Builds DOM nodes and updates lists of them, changing only what differs.
//
// Nothing on this page assigns innerHTML: outside text becomes text nodes and attributes,
// so a hostile string can never become markup.

const SVG = "http://www.w3.org/2000/svg";

/**
 * One element with its properties and children.
 * h("button", { class: "primary", data: { testid: "send" }, onclick: send }, "Send")
 */
export function h(tag, props = {}, ...children) {
  return setUp(document.createElement(tag), props, children);
}

/** One SVG element with its properties and children. */
export function svg(tag, props = {}, ...children) {
  return setUp(document.createElementNS(SVG, tag), props, children);
}

function setUp(node, props, children) {
  for (const [name, value] of Object.entries(props)) assign(node, name, value);
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

function assign(node, name, value) {
  if (value === null || value === undefined || value === false) return;
  if (name === "data") Object.assign(node.dataset, value);
  // setProperty, because the page's content security policy forbids style attributes.
  else if (name === "style") for (const [rule, to] of Object.entries(value)) node.style.setProperty(rule, to);
  else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
  else node.setAttribute(name, value === true ? "" : value);
}

const ICONS = {
  hash: "M6.5 2.5l-1 11M11 2.5l-1 11M2.8 6h11M2.2 10h11",
  lock: "M4 7.5h8v6H4zM5.5 7.5V5a2.5 2.5 0 015 0v2.5",
  archive: "M2 3h12v3H2zM3 6v7.5h10V6M6.5 9h3",
  send: "M2.5 8L13.5 2.8 10.5 13.5 7.8 9.2zM7.8 9.2l5.7-6.4",
  image: "M2.5 3h11v10h-11zM2.5 11l3.5-3.5 3 3 2-2 2.5 2.5M10.3 5.8h.1",
  close: "M4 4l8 8M12 4l-8 8",
  eye: "M1.5 8S4 3.8 8 3.8 14.5 8 14.5 8 12 12.2 8 12.2 1.5 8 1.5 8zM8 6.2a1.8 1.8 0 100 3.6 1.8 1.8 0 000-3.6z",
  reply: "M2.5 3h11v8h-6L4.5 13.5V11h-2z",
  copy: "M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3",
  more: "M3.2 8h.1M8 8h.1M12.8 8h.1",
  home: "M2.5 7.5L8 3l5.5 4.5V13.5h-4V10h-3v3.5h-4z",
  clock: "M8 2a6 6 0 100 12A6 6 0 008 2zM8 4.8V8l2.3 1.6",
  chevron: "M4.5 6.5L8 10l3.5-3.5",
  down: "M8 3v9.5M4 8.8L8 12.5l4-3.7",
  panel: "M2.5 3h11v10h-11zM9.5 3v10",
  menu: "M2.5 4.5h11M2.5 8h11M2.5 11.5h11",
  moon: "M13 9.6A5.6 5.6 0 016.4 3 5.6 5.6 0 1013 9.6z",
  globe: "M8 2a6 6 0 100 12A6 6 0 008 2zM2 8h12M8 2c2 1.8 2.6 3.8 2.6 6S10 12.2 8 14c-2-1.8-2.6-3.8-2.6-6S6 3.8 8 2z",
};

/** A line icon in the text's color; hidden from screen readers, which read the label beside it. */
export function icon(name) {
  const weight = name === "more" ? 2.4 : 1.4;
  return svg(
    "svg",
    { class: `icon icon-${name}`, viewBox: "0 0 16 16", "aria-hidden": "true" },
    svg("path", {
      d: ICONS[name],
      fill: "none",
      stroke: "currentColor",
      "stroke-width": weight,
      "stroke-linecap": "round",
      "stroke-linejoin": "round",
    }),
  );
}

const remembered = new WeakMap(); // node -> the { key, print } it was built from

/**
 * Updates the children of `parent` to match `entries`, in order: [{ key, print, build }].
 * A child is rebuilt only if its `print` changed, so focus, open menus and unsent text elsewhere are kept; one with an
 * open menu is rebuilt by the first call after that has closed.
 */
export function reconcile(parent, entries) {
  const wanted = new Set(entries.map((entry) => entry.key));
  const present = new Map();
  for (const node of [...parent.children]) {
    const key = remembered.get(node)?.key;
    // Remove old nodes first: otherwise every later sibling would be moved, which drops its focus.
    if (wanted.has(key)) present.set(key, node);
    else node.remove();
  }
  let cursor = parent.firstElementChild;
  for (const { key, print, build } of entries) {
    let node = present.get(key);
    if (!node || (remembered.get(node).print !== print && !node.querySelector(":popover-open"))) {
      const fresh = build();
      remembered.set(fresh, { key, print });
      if (node === cursor) cursor = fresh;
      if (node) swap(node, fresh);
      node = fresh;
    }
    if (node === cursor) cursor = cursor.nextElementSibling;
    else parent.insertBefore(node, cursor);
  }
}

/** Replaces a node; a focus inside moves to the same field (data-field) of the new node. */
function swap(old, fresh) {
  const focused = old.contains(document.activeElement) ? document.activeElement : null;
  old.replaceWith(fresh);
  if (!focused?.dataset.field) return;
  const heir = fresh.querySelector(`[data-field="${CSS.escape(focused.dataset.field)}"]`);
  heir?.focus({ preventScroll: true });
  // Only text fields have a selection; reading it from others throws.
  if (heir?.matches("textarea, input[type=text]")) heir.setSelectionRange(focused.selectionStart, focused.selectionEnd);
}

/** Runs `work` while the control shows a spinner and is disabled. */
export async function whileBusy(control, work) {
  control.classList.add("busy");
  control.setAttribute("aria-busy", "true");
  control.disabled = true;
  try {
    return await work();
  } finally {
    const focusWasLost = document.activeElement === document.body || document.activeElement?.matches("dialog");
    control.disabled = false;
    control.classList.remove("busy");
    control.removeAttribute("aria-busy");
    // Disabling a control drops the focus; restore it for keyboard users.
    if (focusWasLost && control.isConnected) control.focus({ preventScroll: true });
  }
}
