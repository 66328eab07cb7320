// What the mock server's answers say, and how they go.

export const SOURCES = [
  {
    source_id: "1",
    document_id: "01931f00-0000-7000-8000-00000000d001",
    title: "Returns and refunds",
    url: "https://acme.example/help/returns",
    text: "You can send back unused items within 30 days of delivery. Refunds reach your account within 5 working days after the parcel arrives.",
  },
  {
    source_id: "2",
    document_id: "01931f00-0000-7000-8000-00000000d002",
    title: "Shipping costs and times",
    url: null,
    text: "Return labels are free for members. Everyone else pays 4.90.",
  },
];

export const ANSWER = `You have **30 days** from delivery to send back anything unused [1]. The refund reaches your account within five working days after the parcel arrives [1].

1. Print the label from your order page; it is free for members [2].
2. Put the item in its box, tags on.
3. Drop it at any parcel shop.

Members see the state of a return under *Orders*.`;

const ATTACK = `<script>window.pwned = 1</script><img src=x onerror="window.pwned=1">

![logo](https://evil.example/pixel.png) ![x](javascript:window.pwned=1)

[click](javascript:window.pwned=1) [data](data:text/html,<script>1</script>) [mixed](JaVaScRiPt:alert(1)) [tab](java	script:alert(1)) [relative](/console/acme) [scheme](//evil.example/x) [user](https://bank.example@evil.example/) [good](https://acme.example/a "title") [mail](mailto:help@acme.example)

<javascript:alert(1)> <https://evil.example" onmouseover="alert(1)> https://acme.example/bare. <b onclick=alert(1)>bold</b> <iframe src="https://evil.example"></iframe> <svg/onload=alert(1)>

\`\`\`"><script>window.pwned=1</script>
<script>window.pwned = 1</script>
\`\`\`

| a | <img src=x> |
|---|---|
| [x](vbscript:1) | &lt;b&gt; |

- [ ] open <style>*{display:none}</style>
- [x] done [9] not a source [1]`;

const FIND = {
  tool: "find_order",
  input: { number: "A-1042", since: null },
  output: { state: "sent", carrier: "Parcel & Co", due: "Friday" },
};
const CANCEL = {
  tool: "cancel_order",
  writes: true,
  host: "shop.acme.example",
  input: { number: "A-1042", reason: "no longer needed", refund: true },
  output: { state: "cancelled" },
};
const MARKUP = `<img src=x onerror="window.pwned=1"><script>window.pwned=1</script>`;
/** A tool whose every word was written by somebody who means harm. */
const HOSTILE = {
  tool: `cancel_order ${MARKUP}`,
  writes: true,
  host: `shop.acme.example\u202e${MARKUP}`,
  input: {
    [MARKUP]: MARKUP,
    amount: "1\u202e00",
    ["__proto__"]: "x",
    long: "x".repeat(40_000),
    ...Object.fromEntries(Array.from({ length: 300 }, (_, n) => [`key${n}`, { deep: [[[[MARKUP]]]] }])),
  },
  output: MARKUP + "y".repeat(40_000),
};

/** How the answer goes to a question with `#` and one of these names in it. */
export const SCRIPTS = {
  attack: { text: ATTACK },
  cut: { text: ANSWER, cutAfter: 9 },
  twice: { text: ANSWER, cutAfter: 6, replayAll: true },
  umlaut: { text: "Größe: 42 → 43 für Füße. 尺码四十二。 Ende.", cutAfter: 4, piece: 3 },
  long: { text: Array.from({ length: 40 }, (_, n) => `Paragraph ${n + 1} of a long answer.`).join("\n\n"), delay: 40 },
  broken: { text: ANSWER, errorAfter: 8 },
  length: { text: ANSWER, finishReason: "length" },
  limited: { problem: [429, "rate_limited", { "retry-after": "2" }], times: 1, text: ANSWER },
  down: { problem: [503, "ai_unavailable"], times: 1, text: ANSWER },
  withheld: { problem: [502, "ai_content_filtered"] },
  database: { problem: [503, "database_unreachable"] },
  refused: { problem: [413, "message_too_long"] },
  suspended: { problem: [403, "instance_suspended"] },
  expired: { problem: [401, "session_expired"], times: 1, text: ANSWER },
  refuse_connection: { hangUp: 2, text: ANSWER },
  tool: { parts: ["Let me look. ", [FIND], `\n\nIt left our warehouse **yesterday** and arrives on Friday.`] },
  tools: {
    parts: [
      [FIND, { tool: "stock__count", input: { size: 42, colour: "green" }, error: "The warehouse did not answer within 20 s." }],
      "It left our warehouse yesterday. ",
      [{ tool: "opening_hours", input: {}, output: "Monday to Friday, 9 to 18" }],
      "\n\nOur shop is open from nine to six.",
    ],
  },
  write: { parts: ["I can cancel it for you.", [CANCEL], "\n\nThat is all."] },
  write_first: { parts: [[CANCEL], "That is all."] },
  write_twice: { parts: [[CANCEL, { ...CANCEL, tool: "send_mail", host: "mail.example", input: { to: "ada@example.com" } }], "That is all."] },
  write_cut: { parts: ["I can cancel it for you.", [CANCEL], "\n\nThat is all."], cutAfter: 7 },
  write_again: { parts: ["I can cancel it for you.", [{ ...CANCEL, delay: 1_500 }], "\n\nThat is all."], replayAll: true, cutAfter: 6 },
  vanish: { parts: ["Let me look. ", [FIND], "\n\nIt left our warehouse yesterday."], cutAfter: 6, unreachable: 8 },
  write_unheard: { parts: [[CANCEL], "That is all."], approvals: { hangUp: 1 } },
  write_elsewhere: { parts: [[CANCEL], "That is all."], approvals: { problem: [409, "already_decided"] } },
  write_gone: { parts: [[CANCEL], "That is all."], approvals: { problem: [404, "not_found"] } },
  write_hostile: { parts: [[HOSTILE], "That is all."] },
  budget: { text: "We have answered as much as we can today. Please write to help@acme.example.", notice: "budget_exhausted" },
  arabic: { text: "يمكنك إرجاع أي منتج غير مستعمل خلال **30 يومًا** من التسليم [1]." },
};
