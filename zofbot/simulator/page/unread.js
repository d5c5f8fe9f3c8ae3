// Which channels hold something that the present user has not looked at.

export class Unread {
  #seen = new Map(); // "user channel" -> ts up to which it was read

  /** Notes that `place` is being looked at. What was there before one came is not news. */
  look(state, place) {
    for (const { id } of state.channels) {
      const key = `${state.you} ${id}`;
      if (id === place || !this.#seen.has(key)) this.#seen.set(key, newest(state, id));
    }
  }

  has(state, channel) {
    return newest(state, channel) > (this.#seen.get(`${state.you} ${channel}`) ?? "");
  }
}

/** Replies inside a thread are news to its readers only. */
function newest(state, channel) {
  const others = (state.messages[channel] ?? []).filter(
    (one) => one.user !== state.you && (!one.thread_ts || one.broadcast || one.ephemeral),
  );
  return others.at(-1)?.ts ?? "";
}
