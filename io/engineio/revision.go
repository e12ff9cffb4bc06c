package engineio

// Revision is a revision of the Engine.IO protocol: the number a client sends as EIO in its query.
type Revision byte

// The revisions this package speaks. Every function that takes a Revision treats any other value as
// [Revision4]; which revisions are let in is decided when a session opens.
const (
	// Revision3 is spoken by the Socket.IO clients 1.x and 2.x.
	Revision3 Revision = 3
	// Revision4 is spoken by the Socket.IO clients 3.x and 4.x.
	Revision4 Revision = 4
)
