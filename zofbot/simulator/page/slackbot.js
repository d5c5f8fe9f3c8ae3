// Messages of the Slack client itself to one user: why the last action was refused, and notices.

export class Slackbot {
  #refusals = new Map(); // where -> sentence
  #read = new Set(); // dismissed notices
  #lastAt = null;

  /** Clears the messages at `where` (a channel, a thread, "home", "modal") before an action. */
  attend(where, state) {
    this.#refusals.delete(where);
    if (state.notice) this.#read.add(key(state));
    this.#lastAt = where;
  }

  /** Records the result of that action. */
  recordAnswer(where, answer) {
    if (!answer.ok) this.#refusals.set(where, answer.error);
  }

  /** The messages to show at `where`, each once; notices are shown where the user last acted. */
  messagesAt(where, state, inTheMiddle) {
    const isHere = this.#lastAt === null ? inTheMiddle : where === this.#lastAt;
    const notice = state.notice && isHere && !this.#read.has(key(state)) ? [state.notice.text] : [];
    const refusal = this.#refusals.has(where) ? [this.#refusals.get(where)] : [];
    return [...new Set([...notice, ...refusal])];
  }
}

const key = ({ you, notice }) => `${you} ${notice.at} ${notice.text}`;
