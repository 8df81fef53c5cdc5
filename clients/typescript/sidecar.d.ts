/**
 * @param {string[]} command such as ["constrained", "serve", "tavern", "--model", "small"], or the packed executable
 * @param {{ data?: string, seconds?: number } & import("./index.js").Options} [options] data: where conversations are kept
 * @returns {Promise<{ server: Constrained, process: import("node:child_process").ChildProcess, stop: () => void }>}
 */
export function startSidecar(command: string[], options?: {
    data?: string;
    seconds?: number;
} & import("./index.js").Options): Promise<{
    server: Constrained;
    process: import("node:child_process").ChildProcess;
    stop: () => void;
}>;
import { Constrained } from "./index.js";
