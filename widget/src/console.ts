// What the consoles need of script so far: copying, and sending a form once. Every page works
// without it.

const COPIED_FOR = 2_000;
/** As long as the slowest call of a tool may take, after which somebody may well press again. */
const SENT_FOR = 20_000;

const sent = new WeakMap<EventTarget, number>();

// A second press would send it a second time: a tool would be called twice.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form) return;
  const now = Date.now();
  if (now - (sent.get(form) ?? -SENT_FOR) < SENT_FOR) event.preventDefault();
  else sent.set(form, now);
});

// Whoever comes back by the browser's own button finds the page as it was left.
window.addEventListener("pageshow", (event) => {
  if (event.persisted) for (const form of document.forms) sent.delete(form);
});

if (navigator.clipboard) {
  for (const button of document.querySelectorAll<HTMLButtonElement>("button[data-copy]")) {
    const name = button.textContent;
    button.hidden = false;
    button.addEventListener("click", async () => {
      const text = document.getElementById(button.dataset["copy"] ?? "")?.textContent ?? "";
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
      setTimeout(() => (button.textContent = name), COPIED_FOR);
    });
  }
}
