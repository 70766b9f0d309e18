// Streams the answer of a route into the page. The server hands out the body and a pass for a minute; the call itself
// goes to the data plane. What came is shown as text only.

const form = document.getElementById("playground");
const text = document.getElementById("playground-text");
const state = document.getElementById("playground-state");
const problem = document.getElementById("playground-problem");
const stop = document.getElementById("playground-stop");
const told = document.getElementById("playground-call");
const RECORD_TRIES = 20;
const RECORD_EVERY_MS = 500;
const UNREACHABLE = "The gateway could not be reached from this browser. Is its process running?";

let running = null;

class Refusal extends Error {}

function show(words) {
  state.textContent = words;
}

function fail(words) {
  problem.querySelector("[data-problem]").textContent = words;
  problem.hidden = false;
  show("It ended with an error.");
}

function begin() {
  running = new AbortController();
  text.textContent = "";
  told.replaceChildren();
  problem.hidden = true;
  stop.hidden = false;
  show("Waiting for the first word.");
  return running.signal;
}

async function permission(signal) {
  const response = await fetch(form.action, { method: "POST", body: new FormData(form), signal });
  if (response.status === 422) {
    const { errors } = await response.json();
    throw new Refusal(Object.entries(errors).map(([name, words]) => `${name}: ${words.join(" ")}`).join(" "));
  }
  if (!response.ok) throw new Refusal("The page could not get leave to call. Reload it and try again.");
  return response.json();
}

async function call({ bearer, body }, signal) {
  const response = await fetch(`${form.dataset.edge}/v1/chat/completions`, {
    method: "POST",
    headers: { Authorization: `Bearer ${bearer}`, "Content-Type": "application/json" },
    body: JSON.stringify(body),
    credentials: "omit",
    signal,
  }).catch((error) => {
    throw error.name === "AbortError" ? error : new Refusal(UNREACHABLE);
  });
  return response;
}

async function reasonOf(response) {
  const answer = await response.json().catch(() => ({}));
  return answer.error?.message ?? `The gateway answered ${response.status}.`;
}

async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split(/\r?\n\r?\n/);
    rest = blocks.pop();
    for (const block of blocks) {
      const data = block.split(/\r?\n/).filter((line) => line.startsWith("data:")).map((line) => line.slice(5).trim());
      if (data.length && data[0] !== "[DONE]") yield JSON.parse(data.join("\n"));
    }
  }
}

async function read(response) {
  for await (const event of events(response.body)) {
    if (event.error) throw new Refusal(event.error.message);
    const piece = event.choices?.[0]?.delta?.content;
    if (piece) {
      show("Answering.");
      text.append(piece);
    }
  }
}

async function tell(requestId) {
  if (!requestId) return;
  const url = form.dataset.call.replace("REQUEST", encodeURIComponent(requestId));
  for (let tried = 0; tried < RECORD_TRIES; tried += 1) {
    const response = await fetch(url, { headers: { "HX-Request": "true" } });
    if (response.status === 200) {
      told.innerHTML = await response.text();
      return;
    }
    if (response.status !== 204) return;
    await new Promise((later) => setTimeout(later, RECORD_EVERY_MS));
  }
  told.textContent = "Its record has not come yet. It will be among the calls.";
}

async function send() {
  const signal = begin();
  let requestId = "";
  try {
    const response = await call(await permission(signal), signal);
    requestId = response.headers.get("x-request-id");
    if (!response.ok) throw new Refusal(await reasonOf(response));
    await read(response);
    show("Done.");
  } catch (error) {
    if (error.name === "AbortError") show("Stopped. What came until then is billed.");
    else fail(error instanceof Refusal ? error.message : "The answer broke off.");
  }
  running = null;
  stop.hidden = true;
  await tell(requestId);
}

form?.addEventListener("submit", (event) => {
  event.preventDefault();
  if (!running) send();
});
form?.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
});
stop?.addEventListener("click", () => running?.abort());
