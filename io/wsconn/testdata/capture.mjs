// Has real clients send a compressed message each, and prints what came as lines of deflated.txt. It answers handshakes as Crier does.
// Run it in e2e, where the clients are installed: node ../io/wsconn/testdata/capture.mjs [chromium]
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';

const require = createRequire(process.cwd() + '/');
const message = (name) => `from ${name}: ` + '中文 and more text, '.repeat(60);

// frame is the first compressed one of what a client has sent, as it came; undefined until it is whole.
function frame(bytes) {
  for (let at = 0; at + 6 <= bytes.length; ) {
    let length = bytes[at + 1] & 0x7f;
    let size = 2;
    if (length === 126) [length, size] = [bytes.readUInt16BE(at + 2), 4];
    size += 4;
    if (at + size + length > bytes.length) return undefined;
    if (bytes[at] & 0x40) return bytes.subarray(at, at + size + length);
    at += size + length;
  }
}

const text = (payload) => Buffer.concat([Buffer.from([0x81, payload.length]), Buffer.from(payload)]);

// capture has one client connect and send.
async function capture(name, sent, start, greet = () => {}) {
  const server = createServer((request, response) => response.end('<!doctype html>'));
  const came = new Promise((resolve) => {
    server.on('upgrade', (request, socket) => {
      const accept = createHash('sha1').update(request.headers['sec-websocket-key'] + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11').digest('base64');
      socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
        `Sec-WebSocket-Accept: ${accept}\r\nSec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n\r\n`);
      greet(socket);
      let bytes = Buffer.alloc(0);
      socket.on('error', () => {});
      socket.on('data', (more) => {
        bytes = Buffer.concat([bytes, more]);
        const found = frame(bytes);
        if (found) resolve({ found, offer: request.headers['sec-websocket-extensions'] });
      });
    });
  });
  await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
  const stop = await start(`127.0.0.1:${server.address().port}`);
  const { found, offer } = await came;
  const kind = (found[0] & 15) === 1 ? 'text' : 'binary';
  console.log(`# ${name}, which offers ${offer}\n${name} | ${found.toString('hex')} | ${kind} ${Buffer.from(sent).toString('hex')}`);
  await stop();
  server.closeAllConnections();
  server.close();
}

const open = '0{"sid":"x","upgrades":[],"pingInterval":25000,"pingTimeout":20000}';
const { WebSocket } = require('ws');
for (const data of [message('ws'), Buffer.from(message('ws'))]) {
  await capture('ws ' + require('ws/package.json').version, data, (address) => {
    const socket = new WebSocket(`ws://${address}/`, { perMessageDeflate: { threshold: 0 } });
    socket.on('open', () => socket.send(data));
    return () => socket.terminate();
  });
}
for (const [lib, greet] of [
  ['sioc-1.7', (socket) => socket.write(Buffer.concat([text(open), text('40')]))],
  ['sioc-2.5', (socket) => socket.write(Buffer.concat([text(open), text('40')]))],
  ['sioc-4', (socket) => socket.write(Buffer.concat([text(open), text('40{"sid":"y"}')]))],
]) {
  const name = 'socket.io-client ' + require(`${lib}/package.json`).version;
  await capture(name, '42' + JSON.stringify(['say', message(name)]), (address) => {
    const socket = require(lib)(`http://${address}`, { transports: ['websocket'] });
    socket.on('connect', () => socket.emit('say', message(name)));
    return () => socket.close();
  }, greet);
}
if (process.argv[2]) {
  const { chromium } = require('playwright-core');
  const browser = await chromium.launch({ executablePath: process.argv[2], args: ['--no-sandbox'] });
  const name = 'Chromium ' + browser.version().split('.')[0];
  await capture(name, message(name), async (address) => {
    const page = await browser.newPage();
    await page.goto(`http://${address}/`);
    await page.evaluate(([address, message]) => {
      const socket = new WebSocket(`ws://${address}/`);
      socket.onopen = () => socket.send(message);
    }, [address, message(name)]);
    return () => browser.close();
  });
}
process.exit(0);
