// What the Slack client itself says to one person: refusals of the last deed, and the world's notices.

export class Slackbot {
  #refusals = new Map(); // where -> sentence
  #read = new Set(); // notices put away
  #lastAt = null;

  /** Something is about to be done at `where` (a channel, a thread, "home", "modal"): what was said before is old. */
  attend(where, state) {
    this.#refusals.delete(where);
    if (state.notice) this.#read.add(key(state));
    this.#lastAt = where;
  }

  /** The answer to that deed. */
  heard(where, answer) {
    if (!answer.ok) this.#refusals.set(where, answer.error);
  }

  /** The sentences to show at `where`, each once; the world's notice stands where one last did something. */
  saysAt(where, state, inTheMiddle) {
    const isHere = this.#lastAt === null ? inTheMiddle : where === this.#lastAt;
    const notice = state.notice && isHere && !this.#read.has(key(state)) ? [state.notice.text] : [];
    const refusal = this.#refusals.has(where) ? [this.#refusals.get(where)] : [];
    return [...new Set([...notice, ...refusal])];
  }
}

const key = ({ you, notice }) => `${you} ${notice.at} ${notice.text}`;
