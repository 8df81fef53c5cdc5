// Starts the server with the game (node, Electron) and waits until it listens; it ends with the process that started it.
// @ts-check

import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Constrained } from "./index.js";

/**
 * @param {string[]} command such as ["constrained", "serve", "tavern", "--model", "small"], or the packed executable
 * @param {{ data?: string, seconds?: number } & import("./index.js").Options} [options] data: where conversations are kept
 * @returns {Promise<{ server: Constrained, process: import("node:child_process").ChildProcess, stop: () => void }>}
 */
export async function startSidecar(command, options = {}) {
  const folder = mkdtempSync(join(tmpdir(), "constrained-"));
  const file = join(folder, "port.json");
  const rest = ["--port", "0", "--port-file", file, "--parent", String(process.pid), ...(options.data ? ["--data", options.data] : [])];
  const child = spawn(command[0], [...command.slice(1), ...rest], { stdio: ["ignore", "ignore", "pipe"] });
  let complaint = "";
  child.stderr?.on("data", (text) => (complaint = (complaint + text).slice(-2000)));
  child.on("error", (error) => (complaint += error.message));
  try {
    for (const end = Date.now() + 1000 * (options.seconds ?? 60); ; ) {
      const { url, token } = portFile(file) ?? {};
      if (url) return { server: new Constrained(url, token, options), process: child, stop: () => void child.kill() };
      if (child.exitCode !== null || (child.pid === undefined && complaint) || Date.now() > end) {
        child.kill();
        throw new Error(`the server did not start: ${complaint.trim()}`);
      }
      await new Promise((go) => setTimeout(go, 50));
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** @param {string} file */
function portFile(file) {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch {
    return null; // not there yet
  }
}
