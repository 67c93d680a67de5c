// Keys and live updates. Everything on the pages works without this file.
"use strict";
(() => {
  const $ = (selector) => document.querySelector(selector);
  const rows = () => [...document.querySelectorAll(".list .row a")];
  const help = $("#help");

  function move(step) {
    const all = rows();
    if (!all.length) return;
    const at = all.indexOf(document.activeElement);
    const next = at < 0 ? (step > 0 ? 0 : all.length - 1) : Math.min(Math.max(at + step, 0), all.length - 1);
    all[next].focus();
    all[next].scrollIntoView({ block: "nearest" });
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = event.target.closest("input, textarea, select");
    if (event.key === "Escape") {
      if (help.open) help.close();
      else if (typing) typing.blur();
      else if ($("#back")) $("#back").click();
      return;
    }
    if (typing || help.open) return;
    const reading = document.body.classList.contains("reading");
    const keys = {
      j: () => move(1),
      k: () => move(-1),
      r: () => (reading ? $("#unseen")?.click() : location.reload()),
      s: () => (reading ? $('[data-tab="source"]')?.click() : $(".search input")?.focus()),
      "/": () => $(".search input")?.focus(),
      Delete: () => $("#delete")?.click(),
      "?": () => help.showModal(),
    };
    const act = keys[event.key];
    if (act) {
      event.preventDefault();
      act();
    }
  });

  document.addEventListener("submit", (event) => {
    const question = event.target.dataset.confirm;
    if (question && !confirm(question)) event.preventDefault();
  });

  // The list is fetched anew when the server says that something changed; the focus stays on its row.
  let pending = false;
  async function refresh() {
    if (pending) return;
    pending = true;
    try {
      const answer = await fetch(location.href, { headers: { accept: "text/html" } });
      if (!answer.ok || answer.redirected) return;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.querySelector("#live");
      if (!fresh) return;
      const focused = document.activeElement?.getAttribute?.("href");
      $("#live").replaceWith(document.adoptNode(fresh));
      document.title = page.title;
      if (focused) rows().find((row) => row.getAttribute("href") === focused)?.focus();
    } finally {
      pending = false;
    }
  }

  const live = document.body.dataset.live;
  if (live && window.EventSource) {
    const events = new EventSource(live);
    let first = true;
    let timer;
    events.onmessage = () => {
      if (first) {
        first = false;
        return;
      }
      clearTimeout(timer);
      timer = setTimeout(refresh, 150);
    };
  }
})();
