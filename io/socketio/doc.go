// Package socketio is a Socket.IO server for every official client from 1.0 to
// 4.x: namespaces, text and binary events, and acknowledgements in both
// directions. Users, rooms and broadcasting are those of a [hub.Hub], one for
// each namespace.
//
// Specification: docs/socket.io-protocol in the socket.io repository,
// v5-current.md, and v4.md and v3.md for 1.x and 2.x clients.
package socketio
