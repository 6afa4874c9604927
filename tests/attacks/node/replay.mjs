// What the vendors' clients for Node make of the bytes that a gateway sent: `node replay.mjs FOLDER`.
// The same as sdk_replay.py, which says more.

import { readdirSync, readFileSync } from "node:fs";
import net from "node:net";
import path from "node:path";

import Anthropic from "@anthropic-ai/sdk";
import { GoogleGenAI } from "@google/genai";
import OpenAI from "openai";

const DEADLINE = 20_000;
const MEMBERS = new Set(["toolcalls", "functioncall", "functioncalls", "partialjson"]);
const TYPES =
  /^(.*(call|tool_use|approval_request|input_json_delta)|function|custom|.*call_(arguments|input)\..*)$/s;
const ECHOES = new Set(["tools", "toolchoice", "sdkhttpresponse"]);

function* callsIn(value) {
  if (Array.isArray(value)) {
    for (const each of value) yield* callsIn(each);
  } else if (value !== null && typeof value === "object") {
    for (const [key, child] of Object.entries(value)) {
      const plain = key.toLowerCase().replaceAll("_", "");
      if (MEMBERS.has(plain) && child && (!Array.isArray(child) || child.length)) yield { [key]: child };
      else if (plain === "type" && typeof child === "string" && TYPES.test(child)) yield value;
      else if (!ECHOES.has(plain)) yield* callsIn(child);
    }
  }
}

let raw = Buffer.alloc(0);
const server = net.createServer((socket) => {
  let data = Buffer.alloc(0);
  socket.on("error", () => {});
  socket.on("data", (piece) => {
    data = Buffer.concat([data, piece]);
    const end = data.indexOf("\r\n\r\n");
    if (end < 0) return;
    const head = data.subarray(0, end).toString("latin1");
    const length = Number(/content-length: *(\d+)/i.exec(head)?.[1] ?? 0);
    const whole = /transfer-encoding: *chunked/i.test(head)
      ? data.subarray(-5).equals(Buffer.from("0\r\n\r\n"))
      : data.length - end - 4 >= length;
    if (whole) socket.end(raw);
  });
});
await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
const url = `http://127.0.0.1:${server.address().port}`;

const common = { apiKey: "k", maxRetries: 0, timeout: DEADLINE };
const openai = new OpenAI({ baseURL: `${url}/v1`, ...common });
const anthropic = new Anthropic({ baseURL: url, ...common });
const genai = new GoogleGenAI({ apiKey: "k", httpOptions: { baseUrl: url, timeout: DEADLINE } });
const messages = [{ role: "user", content: "Hi" }];

const READERS = {
  chat: {
    ask: (stream) => openai.chat.completions.create({ model: "m", messages, stream }),
    text: (shown) =>
      (shown.choices ?? []).map((choice) => (choice.delta ?? choice.message)?.content ?? "").join(""),
  },
  responses: {
    ask: (stream) => openai.responses.create({ model: "m", input: "Hi", stream }),
    text: (shown) => (shown.type === "response.output_text.delta" ? shown.delta : (shown.output_text ?? "")),
  },
  anthropic: {
    ask: (stream) => anthropic.messages.create({ model: "m", max_tokens: 9, messages, stream }),
    text: (shown) =>
      [shown.delta, shown.content_block, ...(shown.content ?? [])].map((part) => part?.text ?? "").join(""),
  },
  gemini: {
    ask: (stream) =>
      genai.models[stream ? "generateContentStream" : "generateContent"]({ model: "m", contents: "Hi" }),
    text: (shown) =>
      (shown.candidates ?? [])
        .flatMap((candidate) => candidate.content?.parts ?? [])
        .map((part) => part.text ?? "")
        .join(""),
  },
};

async function see({ dialect, stream }) {
  const seen = { text: "", calls: [], error: "", failed: false };
  const reader = READERS[dialect];
  const take = (shown) => {
    seen.text += reader.text(shown);
    seen.failed ||= shown.type === "response.failed";
    seen.calls.push(...callsIn(JSON.parse(JSON.stringify(shown))));
  };
  try {
    const answer = await reader.ask(stream);
    if (stream) for await (const shown of answer) take(shown);
    else take(answer);
  } catch (error) {
    seen.error = `${error.constructor.name}: ${error.message}`.slice(0, 500);
  }
  return seen;
}

function wrong(seen, { ending, reads }) {
  if (seen.calls.length) return `it saw calls: ${JSON.stringify(seen.calls).slice(0, 300)}`;
  if (!reads || ending === "failed") return "";
  if (ending === "unjudged" || ending === "broken")
    return seen.error || seen.failed ? "" : `it took a broken answer for whole: ${seen.text.slice(-200)}`;
  if (seen.error) return `it raised ${seen.error}`;
  const words = ending === "refused" ? ["denied", "tool invocation policy"] : [];
  return words.every((word) => seen.text.includes(word)) ? "" : `no refusal in ${seen.text.slice(-200)}`;
}

const folder = process.argv[2];
const files = readdirSync(folder).filter((name) => name.endsWith(".json"));
let bad = 0;
for (const name of files.sort()) {
  const told = JSON.parse(readFileSync(path.join(folder, name), "utf8"));
  const sent = readFileSync(path.join(folder, name.replace(/\.json$/, ".raw")));
  const line = sent.indexOf("\r\n");
  // A client that kept the connection would ask again on one that is closed.
  raw = Buffer.concat([sent.subarray(0, line), Buffer.from("\r\nconnection: close"), sent.subarray(line)]);
  const problem = wrong(await see(told), told);
  if (problem) {
    bad += 1;
    console.log(`${told.name}: ${problem}`);
  }
}
const versions = ["openai", "@anthropic-ai/sdk", "@google/genai"].map((name) => {
  const file = new URL(`node_modules/${name}/package.json`, import.meta.url);
  return `${name} ${JSON.parse(readFileSync(file, "utf8")).version}`;
});
console.log(`${files.length} answers of a gateway, read by ${versions.join(", ")} for Node: ${bad} wrong`);
server.close();
process.exit(bad || !files.length ? 1 : 0);
