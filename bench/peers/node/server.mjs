// A Socket.IO server with a push port, as one would write it with the official library.
//
//   node server.mjs --port N --push-port N [--options JSON]       node server.mjs --version
//
// It prints where it listens. With --expose-gc, GET /vitals on the push port collects and tells what is in use.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { parseArgs } from 'node:util';
import { Server } from 'socket.io';

const { values } = parseArgs({
  options: { port: { type: 'string' }, 'push-port': { type: 'string' }, version: { type: 'boolean' }, options: { type: 'string', default: '{}' } },
});
if (values.version) {
  const { version } = JSON.parse(readFileSync(new URL('node_modules/socket.io/package.json', import.meta.url)));
  console.log(`socket.io ${version}, Node ${process.version}`);
  process.exit();
}

const http = createServer();
const io = new Server(http, JSON.parse(values.options));
io.on('connection', (socket) => {
  socket.on('login', (uid, ack) => {
    socket.join(uid);
    if (typeof ack === 'function') ack({ ok: true });
  });
});
const listen = (server, port, name) => server.listen(port, '127.0.0.1', 4096, () => console.error(`port=${name} addr=127.0.0.1:${server.address().port}`));
listen(http, values.port, 'public');

listen(createServer((request, response) => {
  if (request.url === '/vitals' && globalThis.gc) {
    globalThis.gc();
    const { heapUsed, external } = process.memoryUsage();
    return response.end(JSON.stringify({ heap: heapUsed + external }));
  }
  let body = '';
  request.on('data', (chunk) => { body += chunk; });
  request.on('end', () => {
    const form = new URLSearchParams(body);
    const to = form.get('to');
    if (to) {
      if (!io.of('/').adapter.rooms.has(to)) return response.end('offline');
      io.to(to).emit('new_msg', form.get('content'));
    } else {
      io.emit('new_msg', form.get('content'));
    }
    response.end('ok');
  });
}), values['push-port'], 'push');
