// Drives wechat4u against the web WeChat door of a sandbox. It builds https addresses without a port, so the one
// function that makes its requests is wrapped and readdresses them.
const fs = require('fs')
const path = require('path')
const Wechat = require('wechat4u')

const base = new URL(process.env.BASE)
const media = process.env.MEDIA

function report (name, value = true) {
  process.stdout.write(`REPORT ${JSON.stringify({ name, value })}\n`)
}

const bot = new Wechat()
const request = bot.request
bot.request = options => {
  const url = new URL(options.url)
  options.url = base.origin + url.pathname + url.search
  return request(options)
}

const open = name => fs.createReadStream(path.join(media, name))

async function everything () {
  const byName = name => Object.values(bot.contacts).find(one => one.NickName === name).UserName
  const alice = byName('Alice')
  const bob = byName('Bob')
  const text = await bot.sendMsg('hello from wechat4u', alice)
  report('text', text.MsgID)
  report('image', (await bot.sendMsg({ file: open('picture.png'), filename: 'picture.png' }, alice)).MsgID)
  report('video', (await bot.sendMsg({ file: open('clip.mp4'), filename: 'clip.mp4' }, alice)).MsgID)
  report('file', (await bot.sendMsg({ file: open('报告.pdf'), filename: '报告.pdf' }, alice)).MsgID)
  report('big', (await bot.sendMsg({ file: open('big.bin'), filename: 'big.bin' }, 'filehelper')).MsgID)
  const placed = await bot.uploadMedia(open('picture.png'), 'picture.png', alice)
  const twice = []
  for (const who of [alice, bob]) twice.push((await bot.sendPic(placed.mediaId, who)).MsgID)
  report('twice', twice)
  await bot.revokeMsg(text.MsgID, alice)
  report('recalled', text.MsgID)
  report('ready')
}

bot.on('uuid', uuid => report('uuid', uuid))
bot.on('user-avatar', () => report('scanned'))
bot.on('login', () => {
  report('me', bot.user.NickName)
  setTimeout(() => everything().catch(error => { report('failed', String(error.stack || error)); process.exit(1) }), 500)
})
bot.on('message', async message => {
  if (message.isSendBySelf || message.MsgType !== bot.CONF.MSGTYPE_TEXT) return
  report('heard', message.Content)
  await bot.sendMsg(`you said ${message.Content}`, message.FromUserName)
  report('answered')
})
bot.on('error', error => { process.stdout.write(`error ${error && error.message}\n`) })
bot.start()
