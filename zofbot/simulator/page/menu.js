// Opens menus beside their control, as popovers, which the browser closes on Esc or a click outside.
import { h, icon } from "./dom.js";

/** A menu of {label, detail, url, act}; arrow keys move, Enter chooses, Esc gives the focus back. */
export function openMenu(anchor, items) {
  const menu = h("div", { class: "menu", role: "menu", popover: "auto" }, items.map(menuItem));
  menu.addEventListener("click", () => menu.hidePopover());
  popUp(anchor, menu, () => menu.remove());
  walk(menu, "[role=menuitem]");
  menu.firstElementChild?.focus();
}

function menuItem({ label, detail, url, act }) {
  const props = { class: "menu-item", role: "menuitem", onclick: act };
  const content = [h("span", {}, label), detail && h("small", {}, detail)];
  if (url) return h("a", { ...props, href: url, target: "_blank", rel: "noopener noreferrer" }, content);
  return h("button", { ...props, type: "button" }, content);
}

/**
 * A multi-select of {id, label}: chips that open a list of checkboxes.
 * `onClose(ids)` is called once when the list closes after a change.
 */
export function multiPicker({ label, placeholder, choices, chosen, limit, onClose }) {
  const ids = new Set(chosen);
  const face = h("button", { type: "button", class: "multi", "aria-haspopup": "true", "aria-label": label });
  const drawFace = () => {
    const chips = choices.filter(({ id }) => ids.has(id)).map((choice) => h("span", { class: "chip" }, choice.label));
    face.replaceChildren(
      h("span", { class: "chips" }, chips.length ? chips : h("span", { class: "faint" }, placeholder)),
      icon("chevron"),
    );
  };
  face.addEventListener("click", () => {
    const before = JSON.stringify([...ids]);
    const boxes = choices.map((choice) => checkbox(choice, ids, limit, drawFace));
    const list = h("div", { class: "menu", role: "group", "aria-label": label, popover: "auto" }, boxes);
    popUp(face, list, () => {
      list.remove();
      if (JSON.stringify([...ids]) !== before) onClose([...ids]);
    });
    walk(list, "input");
    list.querySelector("input")?.focus();
  });
  drawFace();
  return face;
}

/**
 * A multi-select whose options the bot loads: `load(typed)` returns the matches, or null if it failed.
 * `chosen` are choices; `onClose(choices)` is called once when the list closes after a change.
 */
export function searchPicker({ label, placeholder, chosen, limit, least, load, onClose }) {
  const known = new Map(chosen.map((choice) => [choice.id, choice]));
  const ids = new Set(known.keys());
  const face = h("button", { type: "button", class: "multi", "aria-haspopup": "true", "aria-label": label });
  const drawFace = () => {
    const chips = [...ids].map((id) => h("span", { class: "chip" }, known.get(id).label));
    face.replaceChildren(
      h("span", { class: "chips" }, chips.length ? chips : h("span", { class: "faint" }, placeholder)),
      icon("chevron"),
    );
  };
  face.addEventListener("click", () => {
    const before = JSON.stringify([...ids]);
    const found = h("div", {});
    const field = h("input", { type: "search", class: "menu-search", "aria-label": `Search: ${label}` });
    const list = h("div", { class: "menu", role: "group", "aria-label": label, popover: "auto" }, field, found);
    let asked = 0;
    const ask = async () => {
      const turn = ++asked;
      const short = field.value.length < least;
      const choices = short ? [] : await load(field.value);
      if (turn !== asked) return; // more was typed meanwhile
      for (const choice of choices ?? []) known.set(choice.id, choice);
      const kept = [...ids].map((id) => known.get(id)).filter(({ id }) => !choices?.some((each) => each.id === id));
      const boxes = [...(choices ?? []), ...kept].map((choice) => checkbox(choice, ids, limit, drawFace));
      const note = choices === null ? "Could not load options." : short ? "Type to search…" : "No results";
      found.replaceChildren(...(choices?.length ? boxes : [h("div", { class: "menu-item faint" }, note), ...boxes]));
    };
    field.addEventListener("input", ask);
    popUp(face, list, () => {
      list.remove();
      if (JSON.stringify([...ids]) !== before) onClose([...ids].map((id) => known.get(id)));
    });
    walk(list, "input");
    field.focus();
    ask();
  });
  drawFace();
  return face;
}

function checkbox({ id, label }, ids, limit, onChange) {
  const box = h("input", { type: "checkbox", checked: ids.has(id) });
  box.addEventListener("change", () => {
    if (box.checked && limit && ids.size >= limit) box.checked = false;
    else if (box.checked) ids.add(id);
    else ids.delete(id);
    onChange();
  });
  return h("label", { class: "menu-item" }, box, h("span", {}, label));
}

function popUp(anchor, menu, onClosed) {
  // Inserted beside its anchor, because an open dialog makes everything outside it inert.
  anchor.after(menu);
  anchor.setAttribute("aria-expanded", "true");
  menu.addEventListener("toggle", (event) => {
    if (event.newState !== "closed") return;
    anchor.setAttribute("aria-expanded", "false");
    if (menu.contains(document.activeElement) || document.activeElement === document.body) anchor.focus();
    onClosed();
  });
  menu.showPopover();
  const at = anchor.getBoundingClientRect();
  const below = at.bottom + 4 + menu.offsetHeight < innerHeight;
  menu.style.top = `${below ? at.bottom + 4 : Math.max(8, at.top - 4 - menu.offsetHeight)}px`;
  menu.style.left = `${Math.max(8, Math.min(at.left, innerWidth - menu.offsetWidth - 8))}px`;
}

/** Moves through the items with Up, Down, Home and End. */
function walk(menu, selector) {
  menu.addEventListener("keydown", (event) => {
    const items = [...menu.querySelectorAll(selector)];
    const here = items.indexOf(document.activeElement);
    const to = { ArrowDown: here + 1, ArrowUp: here - 1, Home: 0, End: -1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    items.at(to % items.length)?.focus();
  });
}
