// A Socket.IO server with a push port, as one would write it with the official library.
//
//   node server.mjs --port N --push-port N       node server.mjs --version
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { parseArgs } from 'node:util';
import { Server } from 'socket.io';

const { values } = parseArgs({
  options: { port: { type: 'string' }, 'push-port': { type: 'string' }, version: { type: 'boolean' } },
});
if (values.version) {
  const { version } = JSON.parse(readFileSync(new URL('node_modules/socket.io/package.json', import.meta.url)));
  console.log(`socket.io ${version}, Node ${process.version}`);
  process.exit();
}

const http = createServer();
const io = new Server(http);
io.on('connection', (socket) => {
  socket.on('login', (uid, ack) => {
    socket.join(uid);
    ack?.({ ok: true });
  });
});
http.listen(values.port, '127.0.0.1', 4096);

createServer((request, response) => {
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
}).listen(values['push-port'], '127.0.0.1', 4096);
