// Keeps an open page up to date, and asks before what changes what runs. The page works without it.
"use strict";

// --- questions: the server asks on a page of its own where this does not

const ask = document.getElementById("ask");

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.dataset.ask || form.elements.sure || !ask.showModal) return;
  event.preventDefault();
  document.getElementById("ask-question").textContent = form.dataset.ask;
  ask.returnValue = "no";
  ask.onclose = () => {
    if (ask.returnValue !== "yes") return;
    const sure = Object.assign(document.createElement("input"), { type: "hidden", name: "sure", value: "yes" });
    form.append(sure);
    form.submit();
  };
  ask.showModal();
});

// --- live parts: what is the same stays as it is, with its focus, its selection and how far it is scrolled

function merge(old, fresh) {
  if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName) {
    old.replaceWith(fresh);
  } else if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
  } else if (old !== document.activeElement || old.nodeName === "PRE") {
    mergeAttributes(old, fresh);
    mergeChildren(old, fresh);
  }
}

function mergeAttributes(old, fresh) {
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
}

function mergeChildren(old, fresh) {
  const before = [...old.childNodes];
  const after = [...fresh.childNodes];
  after.forEach((node, index) => (index < before.length ? merge(before[index], node) : old.append(node)));
  before.slice(after.length).forEach((gone) => gone.remove());
}

function runningStep(part) {
  const step = part.querySelector(".steps .running");
  return step ? step.textContent : "";
}

function showRunningStep(part) {
  const step = part.querySelector(".steps .running");
  if (!step) return;
  const list = step.parentElement;
  list.scrollTop += step.getBoundingClientRect().bottom - list.getBoundingClientRect().top - list.clientHeight / 2;
}

function update(part, html) {
  const fresh = document.createElement("template");
  fresh.innerHTML = html; // rendered by the server, which escapes what it was given
  const log = part.querySelector("pre.log");
  const atEnd = !log || log.scrollTop + log.clientHeight > log.scrollHeight - 20;
  const step = runningStep(part);
  mergeChildren(part, fresh.content);
  if (runningStep(part) !== step) showRunningStep(part); // otherwise it stays as somebody has scrolled it
  const shown = part.querySelector("pre.log");
  if (shown && atEnd) shown.scrollTop = shown.scrollHeight;
}

const live = document.querySelector("[data-live]");
const word = document.getElementById("live");

function say(text, state) {
  word.hidden = false;
  if (word.textContent !== text) word.textContent = text;
  word.className = `live ${state}`;
}

if (live) {
  const source = new EventSource(live.dataset.live);
  source.addEventListener("open", () => say("Live", "on"));
  source.addEventListener("message", (message) => {
    for (const [id, html] of Object.entries(JSON.parse(message.data))) {
      const part = document.getElementById(id);
      if (part) update(part, html);
    }
  });
  source.addEventListener("error", () => {
    if (source.readyState === EventSource.CLOSED) window.location.reload(); // the session or the environment has ended
    else say("Not connected", "off");
  });
  window.addEventListener("pagehide", () => source.close());
}

for (const log of document.querySelectorAll("pre.log")) log.scrollTop = log.scrollHeight;
showRunningStep(document);
