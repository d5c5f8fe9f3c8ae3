// Entry point of the page: passes state to the parts, and their actions to the simulator.
import { avatar } from "./avatar.js";
import { Composer } from "./composer.js";
import { h, icon, whileBusy } from "./dom.js";
import { Drawer, narrowScreen } from "./drawer.js";
import { renderHeader } from "./header.js";
import { Home } from "./home.js";
import { MessageList } from "./messagelist.js";
import { inChannel, inThread, messageEntries } from "./messages.js";
import { Modal } from "./modal.js";
import { Panel } from "./panel.js";
import { currentRoute, navigate, permalink, recall, remember } from "./route.js";
import { Sidebar } from "./sidebar.js";
import { Slackbot } from "./slackbot.js";
import { startTheme } from "./theme.js";
import { toast } from "./toast.js";
import { Unread } from "./unread.js";
import { World } from "./world.js";

const ARCHIVED = "This channel is archived: you can read it, but not post in it.";

const $ = (id) => document.getElementById(id);

const world = new World({
  onChange: renderChange,
  onLink: (up) => {
    $("offline").hidden = up;
  },
});
const slackbot = new Slackbot();
const unread = new Unread();
const sidebar = new Sidebar({
  visit: (to) => {
    sidebarDrawer.close();
    visit(to);
  },
  switchUser: (user) => navigate({ user, place: currentRoute().place }),
  close: () => sidebarDrawer.close(),
});
const panel = new Panel({ post: actOrToast, close: () => showPanel(false), time: () => world.now });
const modal = new Modal({ post: (what, body) => actAt("modal", what, body) });
const home = new Home({ post: (what, body) => actAt("home", what, body), redraw: render });
let sidebarDrawer = null;
let panelDrawer = null;
const channelList = new MessageList();
const threadList = new MessageList({ name: "thread-" });
const composer = new Composer({ send: (text) => send(text, null), dismiss: () => dismiss(place()) });
const threadComposer = new Composer({
  name: "thread-",
  send: (text) => send(text, currentRoute().thread),
  dismiss: () => dismiss(currentRoute().thread),
});

/** The channel or "home" to show: the requested one if the user may see it, else a default. */
function place() {
  const asked = currentRoute().place;
  const { channels } = world.state;
  if (asked === "home" || channels.some(({ id }) => id === asked)) return asked;
  const open = channels.filter((channel) => !channel.im && !channel.archived);
  return (open.find((channel) => channel.bot_is_member) ?? open[0])?.id ?? "home";
}

/** The user that was switched to, whose state may not have arrived yet. */
const you = () => currentRoute().user ?? world.state.you;

/** The app and the user's direct messages with it. */
const bot = () => ({
  name: "zofbot",
  channel: world.state.channels.find((channel) => channel.im && channel.name === "zofbot"),
});

/** Navigates to a channel, to "home", or to "app", the last used of its two tabs. */
function visit(to) {
  const onApp = place() === "home" || place() === bot().channel?.id;
  navigate({ user: you(), place: to !== "app" ? to : onApp ? place() : "home" });
}

const openThread = (ts) => navigate({ user: you(), place: place(), thread: ts });

const closeThread = () => navigate({ user: you(), place: place() });

/** Performs an action at a place, where the Slack client's messages about it are then shown. */
async function actAt(where, what, body) {
  slackbot.attend(where, world.state);
  const answer = await world.act(what, body);
  slackbot.recordAnswer(where, answer);
  render();
  return answer;
}

async function send(text, thread) {
  const channel = place();
  const answer = await actAt(thread ?? channel, "send", { channel, text, ...(thread && { thread_ts: thread }) });
  (thread ? threadList : channelList).toEnd();
  return answer;
}

const press = (where) => (message, action, node) =>
  whileBusy(node, () => actAt(where, "press", { channel: message.channel, ts: message.ts, action }));

const shortcut = (where) => (message, callback_id, node) =>
  whileBusy(node, () => actAt(where, "shortcut", { channel: message.channel, ts: message.ts, callback_id }));

/** What the messages of a channel, or of one of its threads, need to be drawn and used. */
function listHost(reader, channel, thread) {
  const where = thread ?? channel.id;
  const actions = { openThread, act: press(where), shortcut: shortcut(where), shortcuts: world.state.shortcuts };
  return { reader, key: [reader.you.id, channel.id, thread].filter(Boolean).join("/"), thread, ...actions };
}

function dismiss(where) {
  slackbot.attend(where, world.state);
  render();
  (where === currentRoute().thread ? threadComposer : composer).focus();
}

async function actOrToast(what, body) {
  const answer = await world.act(what, body);
  if (!answer.ok) toast(answer.error);
  return answer;
}

/** Renders what nobody here caused; not while a mouse button is held, or what it is held on could move away. */
function renderChange() {
  if (!document.documentElement.matches(":active")) render();
}

function render() {
  if (!world.state) return;
  const { state } = world;
  const reader = world.reader(visit);
  const at = place();
  const channel = reader.channels.get(at) ?? null;
  const thread = channel && currentRoute().thread;
  unread.markRead(state, document.visibilityState === "visible" ? at : null);
  sidebar.update({ state, reader, place: at, bot: bot(), unread: (id) => unread.has(state, id) });
  renderHeader($("place"), { channel, place: at, bot: bot(), visit });
  renderConversation(channel, thread, reader);
  panel.update(state, reader);
  modal.update(state.modals, reader, slackbot.messagesAt("modal", state, false));
  $("panel-toggle").classList.toggle("alarmed", state.faults.zof !== "none" || state.faults.slack !== "none");
  const hasUnread = state.channels.some(({ id }) => unread.has(state, id));
  $("sidebar-toggle").setAttribute("aria-label", hasUnread ? "Channels, with unread messages" : "Channels");
  $("sidebar-toggle").classList.toggle("unread", hasUnread);
  document.title = `${hasUnread ? "● " : ""}${channel?.name ?? "Home"} · ${state.team} · zofbot demo`;
}

function renderConversation(channel, thread, reader) {
  $("app").classList.toggle("in-thread", Boolean(thread));
  channelList.element.hidden = composer.element.hidden = !channel;
  home.element.hidden = Boolean(channel);
  if (channel) renderChannel(channel, reader);
  else home.update(world.state.home, reader, slackbot.messagesAt("home", world.state, true));
  if (thread) renderThread(channel, thread, reader);
  else threadList.clear();
}

function renderChannel(channel, reader) {
  const all = world.state.messages[channel.id] ?? [];
  const host = listHost(reader, channel, null);
  const label = `Message ${channel.im ? "" : "#"}${channel.name}`;
  channelList.show(
    host.key,
    `Messages in ${channel.name}`,
    messageEntries(inChannel(all), all, host),
    channel.archived ? archivedAndEmpty : nothingYet,
  );
  composer.update({
    place: host.key,
    label,
    closed: channel.archived ? ARCHIVED : null,
    notices: slackbot.messagesAt(channel.id, world.state, true),
    world: world.state,
    reader,
  });
}

const nothingYet = () => {
  const [lookUp, help] = ["/zof result res_4821", "/zof help"].map((command) => h("code", {}, command));
  const hint = h("p", {}, "No messages yet. Type ", lookUp, " to look up a result, or ", help, " to see all commands.");
  return h("div", { class: "empty" }, avatar({ name: "zofbot", isBot: true }), hint);
};

const archivedAndEmpty = () =>
  h("div", { class: "empty" }, h("p", {}, "No messages. This channel is archived: choose another one."));

function renderThread(channel, root, reader) {
  const all = world.state.messages[channel.id] ?? [];
  const host = listHost(reader, channel, root);
  const hint = "You cannot see this thread. Close it to return to the channel.";
  const gone = () => h("div", { class: "empty" }, h("p", {}, hint));
  $("thread-of").textContent = `${channel.im ? "" : "#"}${channel.name}`;
  threadList.show(host.key, "Thread", messageEntries(inThread(all, root), all, host), gone);
  // No commands are suggested: Slack does not allow them in threads.
  threadComposer.update({
    place: host.key,
    label: "Reply…",
    closed: channel.archived ? ARCHIVED : null,
    notices: slackbot.messagesAt(root, world.state, false),
    world: { ...world.state, commands: [] },
    reader,
  });
}

/** Handles a changed URL: another user or channel, a thread opened or closed. */
async function showRoute() {
  if (currentRoute().user !== world.state?.you) await world.refresh();
  render();
  enterPlace();
}

function enterPlace() {
  if (place() === "home") home.opened(world.state.you);
  else home.left();
  // On a touch screen, the focus would open the keyboard.
  if (!matchMedia("(pointer: coarse)").matches) (currentRoute().thread ? threadComposer : composer).focus();
}

/** Opens links to messages of this workspace on this page, as Slack does. */
async function followPermalink(event) {
  const link = permalink(event.target.closest?.("a[href]")?.href ?? "");
  if (!link) return;
  event.preventDefault();
  navigate({ user: you(), place: link.place, thread: link.thread });
  await showRoute();
  (link.thread ? threadList : channelList).reveal(link.ts);
}

function showPanel(open) {
  if (narrowScreen.matches) return open ? panelDrawer.open() : panelDrawer.close();
  $("app").classList.toggle("no-panel", !open);
  remember("panel", open ? "open" : "closed");
  if (!open) $("panel-toggle").focus();
}

function buildPage() {
  $("sidebar").replaceWith(sidebar.element);
  $("panel").replaceWith(panel.element);
  $("conversation").append(channelList.element, home.element, composer.element);
  $("thread").append(threadList.element, threadComposer.element);
  $("thread-close").append(icon("close"));
  $("panel-toggle").append(icon("panel"), h("span", {}, "Demo controls"));
  $("sidebar-toggle").append(icon("menu"));
  sidebarDrawer = new Drawer({ part: sidebar.element, toggle: $("sidebar-toggle"), look: "drawer-left" });
  panelDrawer = new Drawer({ part: panel.element, toggle: $("panel-toggle"), look: "drawer-bottom" });
  document.body.append(modal.element);
}

async function start() {
  buildPage();
  startTheme($("theme-toggle"));
  const isPanelOpen = recall("panel") ? recall("panel") === "open" : innerWidth >= 1100;
  $("app").classList.toggle("no-panel", !isPanelOpen);
  $("panel-toggle").addEventListener("click", () => showPanel(true));
  $("sidebar-toggle").addEventListener("click", () => sidebarDrawer.open());
  $("thread-close").addEventListener("click", closeThread);
  addEventListener("hashchange", showRoute);
  addEventListener("click", followPermalink);
  document.addEventListener("visibilitychange", render);
  addEventListener("toggle", (event) => event.target.popover && event.newState === "closed" && render(), true);
  // After the click of the released button.
  for (const end of ["pointerup", "pointercancel"]) addEventListener(end, () => setTimeout(render), true);
  setInterval(renderChange, 15_000); // updates the clock and relative times
  await world.refresh();
  if (!world.state) return;
  // Without a place in the URL, the default is added to it, so that it stays when the channel is archived.
  if (!currentRoute().place) navigate({ user: you(), place: place() });
  enterPlace();
}

start();
