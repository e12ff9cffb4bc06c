package socketio

import "crier/io/engineio"

// Reason says why a socket left its namespace, in the words of the Node server.
type Reason = engineio.Reason

// Reasons. The client comes back by itself after all but the first two.
const (
	ClientDisconnect   Reason = "client namespace disconnect" // the client called disconnect
	ServerDisconnect   Reason = "server namespace disconnect" // Socket.Disconnect or Kick; the client stays away
	TransportClose            = engineio.TransportClose       // the connection was lost, or the user left the page
	TransportError            = engineio.TransportError       // the client broke the protocol of the connection
	PingTimeout               = engineio.PingTimeout          // no sign of life in time
	ParseError                = engineio.ParseError           // what the client sent is no packet, or not for now
	ForcedClose               = engineio.ForcedClose          // Session.Close, or a handler that panicked
	ServerShuttingDown        = engineio.ServerShuttingDown   // Server.Close
	SlowConsumer              = engineio.SlowConsumer         // the queue was full; Node has no such limit
)
