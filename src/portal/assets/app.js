// What makes pages live. Without it every page still works.
"use strict";

const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60]];

function since(time) {
  const seconds = (Date.parse(time) - Date.now()) / 1000;
  if (Number.isNaN(seconds)) return null;
  for (const [unit, size] of UNITS) {
    if (Math.abs(seconds) >= size) return relative.format(Math.trunc(seconds / size), unit);
  }
  return "just now";
}

function showMoments(root) {
  for (const element of root.querySelectorAll("dd time[datetime], .since time[datetime]")) {
    const words = since(element.dateTime);
    if (words) element.textContent = words;
  }
}

function showCopyButtons(root) {
  if (!navigator.clipboard) return;
  for (const button of root.querySelectorAll("[data-copy]")) button.hidden = false;
}

function trouble(part, message) {
  const beside = part.nextElementSibling;
  const line = beside?.matches(".trouble") ? beside : part.parentElement.querySelector(".trouble");
  if (!line) return;
  line.hidden = !message;
  line.textContent = message || "";
}

const FOCUSABLE = "a, button, summary, [tabindex]";

// A live part is replaced as a whole; the focused control, open details and what was scrolled keep their place.
function replace(part, html) {
  const all = (selector) => [...part.querySelectorAll(selector)];
  const active = document.activeElement;
  const held = part.contains(active) ? all(FOCUSABLE).indexOf(active) : -1;
  const address = held >= 0 ? active.getAttribute("href") : null;
  // By a key, where more may have come before it.
  const key = (details, index) => details.dataset.key ?? index;
  const open = new Set(all("details").flatMap((details, index) => (details.open ? [String(key(details, index))] : [])));
  const scrolled = all(".scroll").map((box) => box.scrollLeft);
  part.innerHTML = html;
  showMoments(part);
  showCopyButtons(part);
  all("details").forEach((details, index) => (details.open = open.has(String(key(details, index)))));
  all(".scroll").forEach((box, index) => (box.scrollLeft = scrolled[index] || 0));
  if (held < 0) return;
  // What came or went before it moves a link: it is known by its address.
  const now = all(FOCUSABLE);
  const same = now.filter((control) => control.getAttribute("href") === address && control.checkVisibility());
  const next = same.includes(now[held]) || !same.length ? now[held] : same[0];
  next?.focus({ preventScroll: true });
}

// Browsers resume a stream that broke, but give up on one that was refused, as by a door whose server restarts.
const AGAIN = 3000;

function listen(part, address, handlers) {
  const source = new EventSource(address);
  let last = "";
  for (const [name, handle] of Object.entries(handlers)) {
    source.addEventListener(name, (event) => {
      last = event.lastEventId;
      trouble(part, "");
      handle(event.data);
    });
  }
  source.addEventListener("trouble", (event) => trouble(part, event.data));
  source.addEventListener("end", () => {
    source.close();
    location.assign("/login?reason=expired&next=" + encodeURIComponent(location.pathname + location.search));
  });
  source.onerror = () => {
    trouble(part, "The connection was lost; trying again.");
    if (source.readyState !== EventSource.CLOSED) return;
    const again = new URL(address, location);
    if (last) again.searchParams.set("since", last);
    setTimeout(() => listen(part, again, handlers), AGAIN);
  };
  source.onopen = () => trouble(part, "");
}

// A part that changes without being told: fetched again while the page is looked at, until it says that it is done.
function refresh(part) {
  let busy = false;
  const timer = setInterval(async () => {
    if (busy || document.hidden) return;
    busy = true;
    try {
      const answer = await fetch(part.dataset.fetch);
      if (answer.redirected) location.reload();
      else if (!answer.ok) throw new Error();
      else replace(part, await answer.text());
      trouble(part, "");
      if (part.querySelector("[data-done]")) clearInterval(timer);
    } catch {
      trouble(part, "The platform does not answer; trying again.");
    }
    busy = false;
  }, part.dataset.every * 1000);
}

const MOST_LINES = 5000;

function follow(log) {
  const toggle = document.querySelector("[data-follow-toggle]");
  const state = document.querySelector("[data-follow-state]");
  let held = [];
  let paused = false;
  const append = (html) => {
    const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
    log.querySelector(".none")?.remove();
    log.insertAdjacentHTML("beforeend", html);
    while (log.childElementCount > MOST_LINES) log.firstElementChild.remove();
    if (atEnd) log.scrollTop = log.scrollHeight;
  };
  listen(log, log.dataset.follow, { append: (html) => (paused ? held.push(html) : append(html)) });
  toggle.hidden = false;
  toggle.addEventListener("click", () => {
    paused = !paused;
    toggle.textContent = paused ? "Go on" : "Pause";
    state.lastChild.textContent = paused ? "Paused" : "Live";
    state.classList.toggle("good", !paused);
    state.classList.toggle("breathes", !paused);
    if (!paused) {
      held.forEach(append);
      held = [];
    }
  });
  log.scrollTop = log.scrollHeight;
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  await navigator.clipboard.writeText(button.dataset.copy);
  button.textContent = "Copied";
  setTimeout(() => (button.textContent = "Copy"), 1500);
});

// A command that is made of the fields of its form while they are filled in. Once what it makes is there, the page goes on to it.
function compose(part) {
  const { elements } = part.closest("form");
  for (const button of part.parentElement.querySelectorAll("[data-plain]")) button.hidden = true;
  const address = () => {
    const fields = ["image", "name", "port"].map((name) => [name, elements.namedItem(name).value]);
    return part.dataset.command + "?" + new URLSearchParams(fields);
  };
  let shown = "";
  let html = "";
  let waits = false;
  let busy = false;
  const ask = async () => {
    const asked = address();
    const idle = document.hidden || elements.namedItem("from").value !== "local" || !elements.namedItem("image").value;
    if (busy || idle) return;
    busy = true;
    try {
      const answer = await fetch(asked);
      if (answer.redirected) return location.reload();
      if (!answer.ok) throw new Error();
      const now = await answer.text();
      if (asked !== address()) return;
      if (now !== html) replace(part, (html = now));
      trouble(part, "");
    } catch {
      return trouble(part, "The platform does not answer; trying again.");
    } finally {
      busy = false;
    }
    const made = part.querySelector("[data-made]");
    if (made && waits && asked === shown) location.assign(made.href);
    waits = !made;
    shown = asked;
  };
  let soon;
  part.closest("form").addEventListener("input", () => {
    clearTimeout(soon);
    soon = setTimeout(ask, 400);
  });
  setInterval(ask, 3000);
  ask();
}

// Everything at once is as proposed: not for who has begun to edit.
function offerWhole() {
  const edited = [...document.querySelectorAll("[data-value]")].some((field) => field.value !== field.defaultValue);
  for (const button of document.querySelectorAll("form[data-whole] button")) button.disabled = edited;
}

document.addEventListener("input", (event) => {
  if ("value" in (event.target.dataset ?? {})) offerWhole();
});
// A browser that restores what was typed tells of no input.
addEventListener("pageshow", offerWhole);

document.addEventListener("submit", (event) => {
  const asks = event.submitter?.dataset.confirm;
  if (asks && !confirm(asks)) event.preventDefault();
});

showMoments(document);
showCopyButtons(document);
setInterval(() => showMoments(document), 30000);
for (const part of document.querySelectorAll("[data-live]")) {
  listen(part, part.dataset.live, { replace: (html) => replace(part, html) });
}
for (const part of document.querySelectorAll("[data-fetch]")) refresh(part);
for (const part of document.querySelectorAll("[data-command]")) compose(part);
for (const log of document.querySelectorAll("[data-follow]")) follow(log);
