// Drives the official package's own modules against an iLink sandbox. Its login host is a constant, so requests to it
// are readdressed; nothing leaves this machine.
import crypto from "node:crypto";
import fs from "node:fs/promises";
import { register } from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";

const base = new URL(process.env.BASE);
const files = process.env.FILES;
const host = new URL("./openclaw_host.mjs", import.meta.url).href;
const hook = `export async function resolve(name, context, next) {
  return name.startsWith("openclaw/plugin-sdk/") ? { url: ${JSON.stringify(host)}, shortCircuit: true } : next(name, context);
}`;
register(`data:text/javascript,${encodeURIComponent(hook)}`);

const honest = globalThis.fetch;
globalThis.fetch = (input, options) => {
  const url = new URL(input);
  if (url.host === "ilinkai.weixin.qq.com") {
    url.protocol = base.protocol;
    url.host = base.host;
  }
  if (url.hostname !== "127.0.0.1") throw new Error(`would have left the machine: ${url.host}`);
  return honest(url, options);
};

const report = (name, value = true) => process.stdout.write(`\nREPORT ${JSON.stringify({ name, value })}\n`);
const root = path.join(process.cwd(), "node_modules/@tencent-weixin/openclaw-weixin/dist/src");
const load = (file) => import(pathToFileURL(path.join(root, file)).href);

async function main() {
  const [api, login, send, media, inbound] = await Promise.all(
    ["api/api.js", "auth/login-qr.js", "messaging/send.js", "messaging/send-media.js", "media/media-download.js"].map(load),
  );
  const started = await login.startWeixinLoginWithQr({});
  report("code", started.qrcodeUrl);
  const bot = await login.waitForWeixinLogin({ sessionKey: started.sessionKey, timeoutMs: 60_000 });
  if (!bot.connected) throw new Error(bot.message);
  report("login", { bot: bot.accountId, user: bot.userId, base: bot.baseUrl });
  const opts = { baseUrl: bot.baseUrl, token: bot.botToken };
  const cdnBaseUrl = `${bot.baseUrl}/c2c`;
  report("started", await api.notifyStart(opts));

  const saved = [];
  const saveMedia = async (data) => {
    saved.push(crypto.createHash("sha256").update(data).digest("hex"));
    return { path: "/nowhere" };
  };
  const texts = [];
  const ids = [];
  let cursor = "";
  let context;
  while (!texts.includes("go on")) {
    const answer = await api.getUpdates({ ...opts, get_updates_buf: cursor });
    if (answer.ret || answer.errcode) throw new Error(JSON.stringify(answer));
    cursor = answer.get_updates_buf || cursor;
    for (const message of answer.msgs ?? []) {
      context = message.context_token;
      ids.push(message.message_id);
      for (const item of message.item_list) {
        if (item.text_item) texts.push(item.text_item.text);
        const log = () => {};
        const fail = (why) => report("download failed", why);
        await inbound.downloadMediaFromItem(item, { cdnBaseUrl, saveMedia, log, errLog: fail, label: "test" });
      }
    }
  }
  report("received", { texts, ids, saved });

  const config = await api.getConfig({ ...opts, ilinkUserId: bot.userId, contextToken: context });
  if (config.ret !== 0) throw new Error("getconfig needs ret 0");
  for (const status of [1, 2]) {
    const body = { ilink_user_id: bot.userId, typing_ticket: config.typing_ticket, status };
    await api.sendTyping({ ...opts, body });
    report(`typing ${status}`);
  }
  const to = bot.userId;
  const sending = { ...opts, contextToken: context };
  const said = await send.sendMessageWeixin({ to, text: "hello from the official client", opts: sending });
  report("text", said.serverMessageId);
  for (const name of ["picture.png", "clip.mp4", "说明 文件.txt"]) {
    const sent = await media.sendWeixinMediaFile({
      filePath: path.join(files, name),
      to,
      text: name === "picture.png" ? "a caption" : "",
      opts: sending,
      cdnBaseUrl,
    });
    report(name, sent.serverMessageId);
  }
  const refusals = [];
  for (let left = 8; left > 0; left -= 1) {
    try {
      await send.sendMessageWeixin({ to, text: `filler ${left}`, opts: sending });
    } catch (error) {
      refusals.push(error.message);
    }
  }
  report("refusals", refusals);
  report("stopped", await api.notifyStop(opts));
  report("ready");
}

main().catch((error) => {
  report("failed", String(error?.stack ?? error));
  process.exitCode = 1;
});
await fs.access(files);
