// Asks before a press that the bot marked with `confirm`.
// https://docs.slack.dev/reference/block-kit/composition-objects/confirmation-dialog-object
import { h } from "./dom.js";
import { plain, textObject } from "./mrkdwn.js";

/** Resolves to true if the person confirmed; Esc means no. */
export function confirmed(confirm, reader) {
  if (!confirm) return Promise.resolve(true);
  return new Promise((resolve) => {
    const style = confirm.style === "danger" ? "button danger solid" : "button primary";
    const dialog = h(
      "dialog",
      { class: "dialog small", "aria-label": plain(confirm.title), data: { testid: "confirm" } },
      h("header", {}, h("h2", {}, textObject(confirm.title, reader))),
      h("div", { class: "dialog-body" }, textObject(confirm.text, reader)),
      h(
        "footer",
        {},
        h(
          "button",
          { type: "button", class: "button", data: { testid: "confirm-no" }, onclick: () => dialog.close() },
          plain(confirm.deny) || "Cancel",
        ),
        h(
          "button",
          { type: "button", class: style, data: { testid: "confirm-yes" }, onclick: () => dialog.close("yes") },
          plain(confirm.confirm) || "Yes",
        ),
      ),
    );
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
