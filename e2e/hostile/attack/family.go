package attack

// A Family is one mechanism that servers have been brought down by.
type Family struct {
	Name string
	// Source is where it is known from: an advisory, a section of a specification; "" is experience.
	Source string
	// Where are the ways into the server that it can take.
	Where []Way
	// Inputs are its forms.
	Inputs []Input
}

// An Input is one form of an attack.
type Input struct {
	Name string
	// Run performs it. The error says what the server did wrong, as far as who attacks can see that: it did not end what it
	// has to end, or did not answer.
	Run func(a *Attacker, w Way) error
}

// A Way leads into the server.
type Way struct {
	Name     string
	Path     string
	Push     bool // on the port of business servers
	Official bool // the official Socket.IO server has it too
	Revision int  // of Engine.IO; 0 elsewhere
	Socket   bool // a WebSocket
	JSONP    bool
	TLS      bool // of the server that has a certificate
	H2       bool // HTTP/2
	Upgraded bool // a WebSocket to which a session that polled has been upgraded
}

// The ways.
var (
	ws4     = Way{Name: "EIO4 websocket", Path: "/socket.io/?EIO=4&transport=websocket", Official: true, Revision: 4, Socket: true}
	ws3     = Way{Name: "EIO3 websocket", Path: "/socket.io/?EIO=3&transport=websocket", Official: true, Revision: 3, Socket: true}
	poll4   = Way{Name: "EIO4 polling", Path: "/socket.io/?EIO=4&transport=polling", Official: true, Revision: 4}
	poll3   = Way{Name: "EIO3 polling", Path: "/socket.io/?EIO=3&transport=polling", Official: true, Revision: 3}
	jsonp   = Way{Name: "EIO3 JSONP", Path: "/socket.io/?EIO=3&transport=polling&j=0", Official: true, Revision: 3, JSONP: true}
	plain   = Way{Name: "/ws", Path: "/ws?uid=mallory", Socket: true}
	sock    = Way{Name: "SockJS websocket", Path: "/sockjs/000/mallory/websocket", Socket: true}
	sockXHR = Way{Name: "SockJS xhr", Path: "/sockjs/000/"}
	sse     = Way{Name: "/sse", Path: "/sse?uid=mallory"}
	comet   = Way{Name: "/comet", Path: "/comet?uid=mallory&wait=0"}
	form    = Way{Name: "PHP form", Path: "/", Push: true, Official: true}
	push    = Way{Name: "/v1/push", Path: "/v1/push", Push: true}
	batch   = Way{Name: "/v1/push/batch", Path: "/v1/push/batch", Push: true}
	stream  = Way{Name: "/v1/stream", Path: "/v1/stream", Push: true, Socket: true}
)

// Ways that are others in another state, by TLS, or for people.
var (
	up4     = Way{Name: "EIO4 upgraded", Path: ws4.Path, Official: true, Revision: 4, Socket: true, Upgraded: true}
	up3     = Way{Name: "EIO3 upgraded", Path: ws3.Path, Official: true, Revision: 3, Socket: true, Upgraded: true}
	wss4    = Way{Name: "EIO4 websocket, TLS", Path: ws4.Path, Revision: 4, Socket: true, TLS: true}
	spoll4  = Way{Name: "EIO4 polling, TLS", Path: poll4.Path, Revision: 4, TLS: true}
	splain  = Way{Name: "/ws, TLS", Path: plain.Path, Socket: true, TLS: true}
	ssse    = Way{Name: "/sse, TLS", Path: sse.Path, TLS: true}
	scomet  = Way{Name: "/comet, TLS", Path: comet.Path, TLS: true}
	sockRaw = Way{Name: "SockJS raw websocket", Path: "/sockjs/websocket?uid=mallory", Socket: true}
	sockSSE = Way{Name: "SockJS eventsource", Path: "/sockjs/000/mallory/eventsource"}
	page    = Way{Name: "/", Path: "/"}
	live    = Way{Name: "/v1/stats/live", Path: "/v1/stats/live", Push: true}
	board   = Way{Name: "dashboard", Path: "/admin/api/stats", Push: true}
	signIn  = Way{Name: "dashboard, signing in", Path: "/admin/session", Push: true}
)

// Groups of ways.
var (
	shaken  = []Way{ws4, ws3, plain, sock, sockRaw, stream, wss4, splain}
	sockets = append([]Way{up4, up3}, shaken...)
	polls   = []Way{poll4, poll3, jsonp}
	engines = []Way{ws4, ws3, up4, up3, poll4, poll3, jsonp}
	plains  = []Way{plain, sse, comet}
	https   = []Way{poll4, poll3, jsonp, sse, comet, sockSSE, page, form, push, live, board, spoll4, ssse, scomet}
	posts   = []Way{poll4, poll3, jsonp, sockXHR, form, push, batch, signIn, spoll4}
	never   = append([]Way{wss4, spoll4}, engines...) // for what is of the transport as well
)

// Families are all of them.
func Families() []Family {
	var all []Family
	for _, chapter := range [][]Family{frames(), bombs(), handshakes(), requests(), bodies(), sessions(), payloads(), packets(), events(), others(), pushes(), lines(), http2s(), secured()} {
		all = append(all, chapter...)
	}
	return all
}

// one is a family of one form.
func one(name, source string, where []Way, run func(a *Attacker, w Way) error) Family {
	return Family{name, source, where, []Input{{name, run}}}
}
