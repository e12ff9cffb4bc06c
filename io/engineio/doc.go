// Package engineio is the server side of Engine.IO, the transport layer under
// Socket.IO: sessions that begin on WebSocket or on HTTP long-polling, move
// from the second to the first while they run, and notice when the peer is
// gone. Revisions 3 (Socket.IO 1.x and 2.x clients) and 4 (3.x and 4.x) share
// one code path.
//
// The WebSocket transport is here; transports made of several HTTP requests
// implement [RequestTransport] elsewhere and are handed in through [Options].
//
// Specification: docs/engine.io-protocol in the socket.io repository, v3.md
// and v4-current.md.
package engineio
