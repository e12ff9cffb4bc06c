// Package fallback serves clients that have no WebSocket, or none yet: the
// long-polling transport of Engine.IO, by XMLHttpRequest and by JSONP.
package fallback
