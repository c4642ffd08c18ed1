// Start Fluid Server as a child process, ask it something, and end it. Node 18 or later, no packages.
//
// node embed.mjs [MODEL [COMMAND ...]]     such as: node embed.mjs fluid-tiny-ov fluid-server --model-path models
//
// In Electron, startServer belongs into the main process: call it when the app is ready, and stop() in "before-quit".

import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { resolve } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const EXIT_CODES = { 10: "the port is taken", 11: "its folder cannot be written", 12: "the disk is full" };

export async function startServer(command, data) {
  const key = randomBytes(24).toString("base64url"); // whoever else runs on this machine does not know it
  const child = spawn(
    command[0],
    [
      ...command.slice(1), "--port", "0", "--data-dir", data, "--log-file", resolve(data, "logs", "server.log"),
      "--ready-json", "--parent-pid", String(process.pid), "--exit-with-stdin",
    ],
    {
      // The log file has what goes to stderr; a pipe that nobody reads would fill and stop the server.
      stdio: ["pipe", "pipe", "ignore"],
      env: { ...process.env, FLUID_API_KEY: key },
      windowsHide: true,
    },
  );
  const ended = new Promise((done, failed) => child.once("error", failed).once("exit", done));
  child.stdin.on("error", () => {}); // it has gone already: "exit" says so
  const line = once(createInterface({ input: child.stdout }), "line"); // comes when the server listens
  const first = await Promise.race([line, ended]);
  if (!Array.isArray(first)) {
    throw new Error(`The server did not start: ${EXIT_CODES[first] ?? `exit code ${first}`}. See its log.`);
  }
  const { base_url: baseUrl } = JSON.parse(first[0]);

  return {
    pid: child.pid,
    baseUrl,
    // One question, one answer. The first one waits until the model is loaded.
    async chat(model, content) {
      const response = await fetch(`${baseUrl}/chat/completions`, {
        method: "POST",
        headers: { "Content-Type": "application/json", Authorization: `Bearer ${key}` },
        body: JSON.stringify({ model, messages: [{ role: "user", content }] }),
      });
      const answer = await response.json();
      if (!response.ok) throw new Error(answer.error.message);
      return answer.choices[0].message.content;
    },
    // Ask it to end, and wait: at most three seconds. Gives its exit code.
    async stop() {
      child.stdin.end();
      return await ended;
    },
  };
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [model = "fluid-tiny-ov", ...command] = process.argv.slice(2);
  const server = await startServer(command.length ? command : ["fluid-server"], resolve("fluid-data"));
  console.log(`It runs: process ${server.pid}`);
  console.log(await server.chat(model, "What is the capital of France?"));
  console.log("Press Enter to end it.");
  await Promise.race([once(process.stdin, "data"), once(process.stdin, "end")]);
  console.log(`It has ended with ${await server.stop()}`);
  process.exit();
}
