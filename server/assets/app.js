// Keys, copying and live updates. Everything on the pages works without this file.
"use strict";
(() => {
  const $ = (selector) => document.querySelector(selector);
  const rows = () => [...document.querySelectorAll(".list .row a")];
  const reading = document.body.classList.contains("reading");
  const help = $("#help");

  function move(step) {
    const all = rows();
    if (!all.length) return;
    const at = all.indexOf(document.activeElement);
    const next = at < 0 ? (step > 0 ? 0 : all.length - 1) : Math.min(Math.max(at + step, 0), all.length - 1);
    all[next].focus();
    all[next].scrollIntoView({ block: "nearest" });
  }

  async function remove() {
    if (reading) return $("#delete")?.click();
    const row = document.activeElement;
    if (!rows().includes(row)) return;
    await fetch(row.href, { method: "POST", body: new URLSearchParams({ action: "delete" }), redirect: "manual" });
    await refresh();
  }

  const keys = {
    j: () => (reading ? $("#older")?.click() : move(1)),
    k: () => (reading ? $("#newer")?.click() : move(-1)),
    r: () => (reading ? $("#unseen")?.click() : location.reload()),
    s: () => (reading ? $('[data-tab="source"]')?.click() : $(".search input")?.focus()),
    "/": () => ($(".search input") ? $(".search input").focus() : $("#back")?.click()),
    Delete: remove,
    "?": () => help.showModal(),
  };

  function escape(typing) {
    if (help.open) help.close();
    else if (typing) typing.blur();
    else $("#back")?.click();
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = event.target.closest("input:not([type=radio]), textarea, select");
    if (event.key === "Escape") return escape(typing);
    if (typing || help.open) return;
    const act = Object.hasOwn(keys, event.key) && keys[event.key];
    if (act) {
      event.preventDefault();
      act();
    }
  });
  const hint = $("#keys");
  if (hint) {
    hint.hidden = false;
    hint.addEventListener("click", () => help.showModal());
  }

  document.addEventListener("submit", (event) => {
    const question = event.target.dataset.confirm;
    if (question && !confirm(question)) event.preventDefault();
  });

  // The clipboard is open to secure pages only; over plain HTTP in a local network the selection is what is left.
  async function copy(element) {
    const text = element.textContent;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const range = document.createRange();
      range.selectNodeContents(element);
      const selection = getSelection();
      selection.removeAllRanges();
      selection.addRange(range);
      if (!document.execCommand("copy")) return "Press Ctrl+C";
      selection.removeAllRanges();
    }
    return "Copied";
  }

  function addCopyButtons(root) {
    for (const element of root.querySelectorAll("[data-copy]")) {
      const source = element.querySelector("code") || element;
      const button = document.createElement("button");
      button.type = "button";
      button.className = "copy";
      button.textContent = "Copy";
      button.addEventListener("click", async () => {
        button.textContent = await copy(source);
        setTimeout(() => (button.textContent = "Copy"), 1500);
      });
      if (element.tagName === "PRE") element.append(button);
      else element.after(" ", button);
    }
  }

  // Pages are written in UTC; whoever reads them lives elsewhere.
  function localTimes(root) {
    const today = new Date().toDateString();
    for (const time of root.querySelectorAll("time[datetime]")) {
      const date = new Date(time.dateTime);
      if (Number.isNaN(date.getTime())) continue;
      time.title = time.dateTime;
      const short = time.closest(".row");
      if (!short) time.textContent = date.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
      else if (date.toDateString() === today)
        time.textContent = date.toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit", hour12: false });
    }
  }

  let isLive = false;
  function decorate(root) {
    addCopyButtons(root);
    localTimes(root);
    for (const mark of root.querySelectorAll(".live")) mark.hidden = !isLive;
  }
  decorate(document);

  // The list is fetched anew when the server says that something changed; the focus stays on its row.
  let pending = false;
  let again = false;
  async function refresh() {
    again = true;
    if (pending) return;
    pending = true;
    try {
      while (again) {
        again = false;
        await replace();
      }
    } finally {
      pending = false;
    }
  }

  async function replace() {
    const answer = await fetch(location.href, { headers: { accept: "text/html" } });
    if (!answer.ok || answer.redirected) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.querySelector("#live");
    if (!fresh) return;
    const before = rows().map((row) => row.getAttribute("href"));
    const at = rows().indexOf(document.activeElement);
    $("#live").replaceWith(document.adoptNode(fresh));
    decorate($("#live"));
    document.title = page.title;
    if (at < 0) return;
    // The same row, or the nearest that is still there.
    const after = new Map(rows().map((row) => [row.getAttribute("href"), row]));
    const left = [...before.slice(at), ...before.slice(0, at).reverse()].find((href) => after.has(href));
    after.get(left)?.focus();
  }

  const live = document.body.dataset.live;
  if (live && window.EventSource) {
    const events = new EventSource(live);
    const show = (state) => {
      isLive = state;
      for (const mark of document.querySelectorAll(".live")) mark.hidden = !state;
    };
    let timer;
    events.onopen = () => show(true);
    events.onerror = () => show(false);
    // The first one says where the stream begins: what came between the page and that is fetched now.
    events.onmessage = () => {
      clearTimeout(timer);
      timer = setTimeout(refresh, 150);
    };
  }
})();
