// DIGLOT_SECRET=whsec_... PORT=9000 node receiver.mjs
import { createHmac, timingSafeEqual } from 'node:crypto'
import { appendFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { buffer } from 'node:stream/consumers'

const KEY = Buffer.from(process.env.DIGLOT_SECRET.split('whsec_')[1], 'base64')
const INBOX = process.env.DIGLOT_INBOX ?? 1 // 1 is the standard output
const MAX_BYTES = 8 * 1024 * 1024
const TOLERANCE_SECONDS = 300
const seen = new Set() // on your site: a unique key in the database

function isGenuine(id, sentAt, signatures, body) {
  if (!(Math.abs(Date.now() / 1000 - Number(sentAt)) <= TOLERANCE_SECONDS)) return false
  const digest = createHmac('sha256', KEY).update(`${id}.${sentAt}.`).update(body).digest('base64')
  const expected = Buffer.from(`v1,${digest}`)
  return signatures.split(' ').map((given) => Buffer.from(given))
    .some((given) => given.length === expected.length && timingSafeEqual(given, expected))
}

function receive(headers, body) {
  const id = headers['webhook-id'] ?? ''
  if (!isGenuine(id, headers['webhook-timestamp'], headers['webhook-signature'] ?? '', body)) return 401
  if (!seen.has(id)) {
    appendFileSync(INBOX, JSON.stringify({ id, ...JSON.parse(body) }) + '\n')
    seen.add(id)
  }
  return 204
}

async function answer(request) {
  if (request.method !== 'POST') return 405
  if (!(Number(request.headers['content-length']) <= MAX_BYTES)) return 413
  return receive(request.headers, await buffer(request))
}

createServer((request, response) => {
  answer(request).catch(() => 500).then((status) => response.writeHead(status).end())
}).listen(Number(process.env.PORT), '127.0.0.1')
