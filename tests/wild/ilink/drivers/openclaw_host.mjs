// What the official package takes from the program that hosts it: three small functions of its plug-in interface.
import os from "node:os";
import path from "node:path";

export const normalizeAccountId = (id) => id.trim().toLowerCase().replace(/[^a-z0-9_-]+/g, "-");
export const resolvePreferredOpenClawTmpDir = () => process.env.STATE ?? path.join(os.tmpdir(), "openclaw");
export const withFileLock = async (_file, _options, work) => await work();
