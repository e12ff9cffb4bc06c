// Package fallback serves clients that have no WebSocket, or nothing that
// speaks Socket.IO on it.
//
// [Polling] is the long-polling transport of Engine.IO, by XMLHttpRequest and
// by JSONP. A [Server] is for those without Socket.IO: plain WebSocket, Server-Sent
// Events, comet and SockJS. All of its clients get the same JSON text, and
// are connections of the hub like any other.
package fallback
