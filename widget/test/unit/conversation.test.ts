// The conversation against a server over real sockets: what a visitor would see after
// cuts, refusals and restarts.

import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { ChatApi } from "../../src/api/client.ts";
import type { Step, StoredMessage } from "../../src/api/types.ts";
import { Conversation, type Listener } from "../../src/chat/conversation.ts";
import { inOrder } from "../../src/chat/in-order.ts";
import { SessionStore } from "../../src/chat/session-store.ts";
import type { Trouble } from "../../src/chat/trouble.ts";
import type { Turn } from "../../src/chat/turn.ts";

declare const MOCK_SERVER: string;
const { startMockServer, INSTANCE } = await import(MOCK_SERVER);

class Recorder implements Listener {
  text = "";
  log: string[] = [];
  messages: StoredMessage[] = [];
  trouble: Trouble | null = null;
  last: Turn | null = null;
  /** What each step was seen to be, in order: `cancel_order asking`. */
  steps: string[] = [];
  #settled!: () => void;
  settled = new Promise<void>((resolve) => (this.#settled = resolve));

  history(messages: StoredMessage[]): void {
    this.messages = messages;
  }
  turnStarted(turn: Turn): void {
    this.last = turn;
    this.text = "";
    this.trouble = null;
    this.steps = [];
    this.settled = new Promise<void>((resolve) => (this.#settled = resolve));
  }
  turnChanged(_turn: Turn, change: Parameters<Listener["turnChanged"]>[1]): void {
    if (change.kind === "text") this.text += change.delta;
    else if (change.kind === "step") this.steps.push(`${change.step.tool} ${change.step.state}`);
    else if (change.kind === "restarted") this.text = "";
    else if (change.kind !== "nothing") this.log.push(change.kind);
  }
  turnEnded(): void {
    this.log.push("end");
    this.#settled();
  }
  turnFailed(_turn: Turn, trouble: Trouble): void {
    this.trouble = trouble;
    this.#settled();
  }
  sessionReplaced(): void {
    this.log.push("session replaced");
  }
}

type Server = Awaited<ReturnType<typeof startMockServer>>;
let server: Server;
let api: ChatApi;
let store: SessionStore;
let seen: Recorder;
let conversation: Conversation;

before(async () => {
  server = await startMockServer();
});
after(() => server.close());
beforeEach(() => {
  api = new ChatApi(server.origin);
  store = new SessionStore(INSTANCE);
  seen = new Recorder();
  conversation = new Conversation(api, store, { instanceId: INSTANCE, locale: "en", pageUrl: "https://acme.example/" }, seen);
});

const WHOLE = /^You have \*\*30 days\*\*[\s\S]*Members see the state of a return under \*Orders\*\.$/;

test("an answer arrives whole, with its sources", async () => {
  await conversation.ask("How many days?");
  assert.match(seen.text, WHOLE);
  assert.deepEqual(seen.last?.answer.sources.map((source) => source.title), ["Returns and refunds", "Shipping costs and times"]);
  assert.equal(seen.last?.answer.finishReason, "stop");
  assert.equal(seen.log[seen.log.length - 1], "end");
});

test("a cut in the middle is resumed after the last event, and nothing is doubled", async () => {
  await conversation.ask("#cut");
  assert.match(seen.text, WHOLE);
  assert.ok(seen.log.includes("reconnecting") && seen.log.includes("connected"));
  const resumed = server.state.requests.find((request: { path: string }) => request.path.endsWith("/stream"));
  assert.match(resumed.headers["last-event-id"], /^t\d+$/);
});

test("a server that replays everything doubles nothing either", async () => {
  await conversation.ask("#twice");
  assert.match(seen.text, WHOLE);
  assert.equal(seen.last?.answer.sources.length, 2);
});

test("letters of several bytes survive a cut", async () => {
  await conversation.ask("#umlaut");
  assert.equal(seen.text, "Größe: 42 → 43 für Füße. 尺码四十二。 Ende.");
});

test("a connection that breaks before any answer is tried again with the same key", async () => {
  await conversation.ask("#refuse_connection");
  assert.match(seen.text, WHOLE);
  const keys = server.state.requests
    .filter((request: { body?: { content?: string } }) => request.body?.content === "#refuse_connection")
    .map((request: { body: { client_message_id: string } }) => request.body.client_message_id);
  assert.equal(keys.length, 3);
  assert.equal(new Set(keys).size, 1);
});

test("too many messages: says how long to wait, and works afterwards", async () => {
  await conversation.ask("#limited");
  assert.equal(seen.trouble?.kind, "rate_limited");
  assert.equal(seen.trouble?.wait, 2);
  assert.ok(seen.last && seen.trouble);
  await conversation.retry(seen.last, seen.trouble);
  assert.match(seen.text, WHOLE);
});

test("a failure of the provider gets a new key when it is tried again", async () => {
  await conversation.ask("#down");
  assert.equal(seen.trouble?.kind, "ai_down");
  assert.equal(seen.trouble?.reference, "req_7f3a91c2");
  const first = seen.last;
  assert.ok(first && seen.trouble);
  await conversation.retry(first, seen.trouble);
  assert.match(seen.text, WHOLE);
  assert.notEqual(seen.last?.key, first.key);
});

test("each refusal is told apart", async () => {
  for (const [question, kind, retryable] of [
    ["#database", "database_down", true],
    ["#refused", "too_long", false],
    ["#suspended", "suspended", false],
  ] as const) {
    await conversation.ask(question);
    assert.equal(seen.trouble?.kind, kind);
    assert.equal(seen.trouble?.retryable, retryable);
  }
});

test("a session that has ended is replaced and the question asked again", async () => {
  await conversation.ask("How many days?");
  const old = store.load()?.token;
  await conversation.ask("#expired");
  assert.ok(seen.log.includes("session replaced"));
  assert.match(seen.text, WHOLE);
  assert.notEqual(store.load()?.token, old);
});

test("an answer that fails in the middle keeps what arrived", async () => {
  await conversation.ask("#broken");
  assert.equal(seen.trouble?.kind, "ai_down");
  assert.match(seen.text, /^You have \*\*30 days\*\*/);
});

test("an answer that failed in the middle is made again in its place", async () => {
  await conversation.ask("#broken");
  const broken = seen.last;
  assert.ok(broken?.answer.messageId && seen.trouble);
  await conversation.retry(broken, seen.trouble);
  assert.match(seen.text, WHOLE);
  assert.notEqual(seen.last?.answer.messageId, broken.answer.messageId);
  const later = new Recorder();
  await new Conversation(api, store, { instanceId: INSTANCE, locale: "en", pageUrl: "" }, later).open();
  assert.deepEqual(later.messages.map((message) => message.role), ["user", "assistant"], "the question is there once");
});

test("an answer that is not the last any more is not made again: the question is asked anew", async () => {
  await conversation.ask("#broken");
  const [broken, trouble] = [seen.last, seen.trouble];
  assert.ok(broken && trouble);
  await conversation.ask("How many days?");
  const anew = { ...broken, question: "How many days?" };
  await conversation.retry(anew, trouble);
  assert.match(seen.text, WHOLE);
  assert.equal(seen.trouble, null);
});

test("stopping ends the answer soon and keeps its beginning", async () => {
  const asked = conversation.ask("#long");
  await until(() => seen.text.length > 30);
  await conversation.stop();
  await asked;
  assert.equal(seen.last?.answer.finishReason, "cancelled");
  assert.ok(seen.text.startsWith("Paragraph 1") && !seen.text.includes("Paragraph 40"));
  assert.equal(seen.trouble, null);
});

test("after a reload an answer under way is joined again from its start", async () => {
  void conversation.ask("#long");
  await until(() => seen.text.length > 30);
  conversation.close();
  const later = new Recorder();
  const reloaded = new Conversation(api, store, { instanceId: INSTANCE, locale: "en", pageUrl: "" }, later);
  await reloaded.open();
  assert.deepEqual(later.messages.map((message) => message.role), ["user"]);
  await later.settled;
  assert.ok(later.text.startsWith("Paragraph 1 of") && later.text.endsWith("Paragraph 40 of a long answer."));
});

test("the history comes oldest first, whichever way the server lists it", async () => {
  await conversation.ask("How many days?");
  for (const newestFirst of [false, true]) {
    server.state.overrides = { newestFirst };
    const later = new Recorder();
    await new Conversation(api, store, { instanceId: INSTANCE, locale: "en", pageUrl: "" }, later).open();
    assert.deepEqual(later.messages.map((message) => message.role), ["user", "assistant"]);
  }
  server.state.overrides = {};
});

test("a new conversation forgets the session", async () => {
  await conversation.ask("How many days?");
  conversation.startNew();
  assert.equal(store.load(), null);
});

test("words and steps come in their order, live and from the history", async () => {
  await conversation.ask("#tools");
  assert.deepEqual(seen.steps, [
    ...["find_order running", "find_order running", "stock__count running", "stock__count running"],
    ...["find_order done", "stock__count failed"],
    ...["opening_hours running", "opening_hours running", "opening_hours done"],
  ]);
  assert.equal(seen.text, "It left our warehouse yesterday. \n\nOur shop is open from nine to six.");
  assert.equal(seen.last?.answer.finishReason, "stop");
  const stored = (await history())[1];
  assert.ok(stored);
  const order = inOrder(stored.content, stored.steps).map((piece) => (typeof piece === "string" ? piece : piece.tool));
  assert.deepEqual(order, [
    "find_order",
    "stock__count",
    "It left our warehouse yesterday. ",
    "opening_hours",
    "\n\nOur shop is open from nine to six.",
  ]);
  assert.deepEqual(stored.steps[0]?.output, { state: "sent", carrier: "Parcel & Co", due: "Friday" });
  assert.match(stored.steps[1]?.error ?? "", /within 20 s/);
});

test("a yes lets the call go on, a no does not", async () => {
  for (const [approved, last] of [
    [true, "done"],
    [false, "declined"],
  ] as const) {
    const asked = conversation.ask("#write");
    const step = await asking();
    assert.equal(step.host, "shop.acme.example");
    assert.deepEqual(step.input, { number: "A-1042", reason: "no longer needed", refund: true });
    assert.ok(seen.last);
    await conversation.decide(seen.last, step, approved);
    await asked;
    const between = approved ? ["cancel_order approved"] : [];
    assert.deepEqual(seen.steps.slice(3), [...between, `cancel_order ${last}`]);
    assert.equal(seen.text, "I can cancel it for you.\n\nThat is all.");
    assert.equal((await history()).at(-1)?.steps[0]?.state, last);
  }
});

test("a yes that does not get through can be given again; one that came too late is not", async () => {
  const asked = conversation.ask("#write_unheard");
  const step = await asking();
  const turn = seen.last;
  assert.ok(turn);
  await assert.rejects(conversation.decide(turn, step, true));
  assert.equal(turn.answer.steps.all[0]?.state, "asking");
  await conversation.decide(turn, step, true);
  await asked;
  assert.equal(seen.steps.at(-1), "cancel_order done");
  for (const [question, state] of [
    ["#write_elsewhere", "decided"],
    ["#write_gone", "unfinished"],
  ] as const) {
    void conversation.ask(question);
    const open = await asking();
    assert.ok(seen.last);
    await conversation.decide(seen.last, open, true);
    assert.equal(seen.steps.at(-1), `cancel_order ${state}`);
    await conversation.stop();
    await until(() => !conversation.answering);
  }
});

test("a connection that is cut while a question is open finds the question again, once", async () => {
  const asked = conversation.ask("#write_cut");
  const step = await asking();
  await until(() => seen.log.includes("connected"));
  assert.equal(seen.steps.filter((seen) => seen === "cancel_order asking").length, 1);
  assert.ok(seen.last);
  await conversation.decide(seen.last, step, true);
  await asked;
  assert.equal(seen.text, "I can cancel it for you.\n\nThat is all.");
});

test("after a reload an open question is asked again, and an answered one is not", async () => {
  for (const answerFirst of [false, true]) {
    void conversation.ask(answerFirst ? "#write_again" : "#write");
    const step = await asking();
    assert.ok(seen.last);
    if (answerFirst) await conversation.decide(seen.last, step, true);
    conversation.close();
    const later = new Recorder();
    const reloaded = new Conversation(api, store, { instanceId: INSTANCE, locale: "en", pageUrl: "" }, later);
    await reloaded.open();
    await until(() => later.steps.length >= 3);
    assert.equal(later.steps[2], `cancel_order ${answerFirst ? "approved" : "asking"}`);
    const again = later.last?.answer.steps.all[0];
    assert.ok(later.last && again);
    if (!answerFirst) await reloaded.decide(later.last, again, false);
    await later.settled;
    assert.equal(later.steps.at(-1), `cancel_order ${answerFirst ? "done" : "declined"}`);
    assert.equal(later.text, "I can cancel it for you.\n\nThat is all.");
  }
});

test("stopping while a question is open says yes to nothing", async () => {
  const asked = conversation.ask("#write");
  await asking();
  await conversation.stop();
  await asked;
  assert.equal(seen.last?.answer.finishReason, "cancelled");
  assert.equal((await history()).at(-1)?.steps[0]?.state, "unfinished");
  assert.equal(server.state.requests.filter((request: { path: string }) => request.path.includes("/approvals/")).length, approvals);
});

/** Approvals that were sent before the test. */
let approvals = 0;
beforeEach(() => {
  approvals = server.state.requests.filter((request: { path: string }) => request.path.includes("/approvals/")).length;
});

async function asking(): Promise<Step> {
  const open = (): Step | undefined => seen.last?.answer.steps.all.find((step) => step.state === "asking");
  await until(() => open() !== undefined);
  return open()!;
}

async function history(): Promise<StoredMessage[]> {
  const session = store.load();
  assert.ok(session);
  return api.messages(session);
}

async function until(condition: () => boolean): Promise<void> {
  for (let tries = 0; tries < 500 && !condition(); tries += 1) await new Promise((resolve) => setTimeout(resolve, 10));
  assert.ok(condition(), "it did not happen within 5 s");
}
