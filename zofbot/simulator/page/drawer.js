// On narrow screens, shows a part of the page in a modal <dialog>, which traps the focus and closes on Esc.
import { h } from "./dom.js";

/** Matches screens with no space beside the conversation; narrow.css has the same width. */
export const narrowScreen = matchMedia("(max-width: 699px)");

/** The sidebar as a drawer or the panel as a bottom sheet; on wide screens the part stays in its column. */
export class Drawer {
  #part;
  #toggle;
  #dialog;

  /** `part` is in the document; `toggle` is the button that opens it; `look` is the dialog's CSS class. */
  constructor({ part, toggle, look }) {
    this.#part = part;
    this.#toggle = toggle;
    this.#dialog = h("dialog", { class: `drawer ${look}`, "aria-label": part.getAttribute("aria-label") });
    this.#dialog.addEventListener("click", (event) => event.target === this.#dialog && this.close());
    this.#dialog.addEventListener("close", () => this.#showState());
    part.after(this.#dialog);
    narrowScreen.addEventListener("change", () => this.#movePart());
    this.#movePart();
  }

  open() {
    this.#dialog.showModal();
    this.#showState();
  }

  /** Does nothing while it is closed or on a wide screen. */
  close() {
    this.#dialog.close();
  }

  #movePart() {
    this.close();
    if (narrowScreen.matches) this.#dialog.append(this.#part);
    else this.#dialog.before(this.#part);
    this.#showState();
  }

  #showState() {
    this.#toggle.setAttribute("aria-expanded", String(this.#dialog.open));
  }
}
