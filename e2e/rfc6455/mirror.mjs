// A server of npm's ws that sends back what it gets; with the argument "deflate" it compresses. It prints {"Addr"}, and ends when
// its input does.
import { WebSocketServer } from 'ws';

const perMessageDeflate = process.argv[2] === 'deflate' && { serverNoContextTakeover: true, clientNoContextTakeover: true };
const server = new WebSocketServer({ host: '127.0.0.1', port: 0, maxPayload: 1_000_000, perMessageDeflate });
server.on('connection', (socket) => {
  socket.on('error', () => {}); // the close frame tells
  socket.on('message', (data, binary) => socket.send(data, { binary }));
});
server.on('listening', () => console.log(JSON.stringify({ Addr: `127.0.0.1:${server.address().port}` })));
process.stdin.on('end', () => process.exit()).resume();
