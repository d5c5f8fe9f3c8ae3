// Tracks which channels have unread messages for the current user.

export class Unread {
  #seen = new Map(); // "user channel" -> ts up to which it was read

  /** Marks `place` as read. Messages from before the page was opened count as read. */
  markRead(state, place) {
    for (const { id } of state.channels) {
      const key = `${state.you} ${id}`;
      if (id === place || !this.#seen.has(key)) this.#seen.set(key, newest(state, id));
    }
  }

  has(state, channel) {
    return newest(state, channel) > (this.#seen.get(`${state.you} ${channel}`) ?? "");
  }
}

/** Replies inside a thread do not make the channel unread. */
function newest(state, channel) {
  const others = (state.messages[channel] ?? []).filter(
    (each) => each.user !== state.you && (!each.thread_ts || each.broadcast || each.ephemeral),
  );
  return others.at(-1)?.ts ?? "";
}
