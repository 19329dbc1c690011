"use strict";
const board = document.getElementById("board");
let shown = null;
async function show() {
  const answer = await fetch("/part");
  if (!answer.ok) { return; }
  const text = await answer.text();
  if (text === shown) { return; }
  const open = new Set([...board.querySelectorAll("details[open]")].map((one) => one.parentElement.id));
  board.innerHTML = text;
  shown = text;
  for (const one of board.querySelectorAll("details")) {
    one.open = open.has(one.parentElement.id);
  }
}
new EventSource("/events").onmessage = show;
