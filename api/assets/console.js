// Shortcuts and numbers that refresh themselves. Every page works without this file.
"use strict";

const REFRESH_MS = 5000;

const isTyping = () => /^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement?.tagName ?? "");
const rows = () => [...document.querySelectorAll("a[data-row]")].filter((row) => row.getClientRects().length > 0);

let goPressed = false;

function moveRow(by) {
  const all = rows();
  const at = all.indexOf(document.activeElement);
  const next = all[at < 0 ? (by > 0 ? 0 : all.length - 1) : at + by];
  next?.focus();
  next?.scrollIntoView({ block: "nearest" });
}

function go(key) {
  const link = document.querySelector(`a[data-key="${CSS.escape(key)}"]`);
  if (link) location.assign(link.href);
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (isTyping()) {
    if (event.key === "Escape") document.activeElement.blur();
    return;
  }
  if (goPressed) {
    goPressed = false;
    event.preventDefault();
    go(event.key);
    return;
  }
  switch (event.key) {
    case "/": {
      const field = document.getElementById("search");
      if (!field) return;
      event.preventDefault();
      field.focus();
      field.select();
      break;
    }
    case "g":
      goPressed = true;
      setTimeout(() => { goPressed = false; }, 1500);
      break;
    case "j": moveRow(1); break;
    case "k": moveRow(-1); break;
    case "?": document.getElementById("help")?.showModal(); break;
  }
});

// Sends a form once, however often its button is pressed.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post") return;
  if (form.dataset.sent) event.preventDefault();
  form.dataset.sent = "yes";
});
// A page that comes back from the browser's memory may be sent again.
addEventListener("pageshow", () => { for (const form of document.forms) delete form.dataset.sent; });

async function refresh() {
  if (document.hidden || !document.querySelector("[data-live]")) return;
  try {
    const answer = await fetch(location.href, { headers: { "x-live": "1" }, redirect: "manual" });
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of document.querySelectorAll("[data-live]")) {
      const next = fresh.querySelector(`[data-live="${CSS.escape(part.dataset.live)}"]`);
      // What the operator is in the middle of stays as it is.
      if (!next || part.contains(document.activeElement) || part.isEqualNode(next)) continue;
      part.replaceWith(document.adoptNode(next));
    }
  } catch {
    // The next round tries again.
  }
}

setInterval(refresh, REFRESH_MS);
document.addEventListener("visibilitychange", refresh);
