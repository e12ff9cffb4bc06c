// Package socketio is a Socket.IO server for every official client from 1.0 to
// 4.x: namespaces, text and binary events, rooms, broadcasts, and
// acknowledgements in both directions. docs/LIBRARY.md introduces it.
//
// A [Server] has namespaces, given by name ([Server.Of]), by pattern
// ([Server.OfPattern]) or by function ([Server.OfFunc]). A client in a [Namespace]
// is a [Socket]. What a program does with clients it registers with the namespace;
// a handler gets an [Event], whose arguments it decodes ([Args.Decode], [Handle])
// and which it may acknowledge ([Event.Ack], [HandleAck]). It sends to one client
// with [Socket.Emit] and to many with a [Broadcast]. Arguments are made with
// [JSON], [Raw] and [Binary].
//
// Nothing here blocks but [Server.Close]: what a client does not read fast enough
// is queued, and a client whose queue is full is disconnected. Everything is
// safe for concurrent use. Users, rooms and broadcasting are those of a [hub.Hub],
// one for each namespace.
//
// Specification: docs/socket.io-protocol in the socket.io repository,
// v5-current.md, and v4.md and v3.md for 1.x and 2.x clients.
package socketio
