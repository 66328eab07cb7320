// Entry of the hosted page. The element `#stoa-chat` says whose chat this is.

import { mount } from "./mount.ts";

const root = document.getElementById("stoa-chat");
if (root) {
  const { instanceId, apiBase, locale, platformName } = root.dataset;
  const chat = mount(root, { instanceId: instanceId ?? "", apiBase: apiBase ?? "", shell: "page", locale, platformName });
  void chat.then((mounted) => {
    // On a touch screen the keyboard would cover the greeting.
    if (matchMedia("(hover: hover)").matches) mounted.focus();
  });
}
