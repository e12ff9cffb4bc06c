// Package hub is the domain of Crier: messages, audiences, users, rooms, connections and presence. It knows no protocol.
//
// A transport hands every connection to [Hub.Connect] and gets a [Member] back, through which the connection logs in as a
// user, joins rooms and at last reports that it is gone. [Hub.Push] resolves an [Audience] to connections and gives each of
// them the same [Message] once.
//
// Users, rooms and connections are three separate name spaces: a uid, a room and a connection id of the same text have
// nothing to do with one another.
//
// While there are connections that can be recovered ([Member.Track]), pushes that are for one of them take turns.
//
// Locks are taken in one order: a member's, then one shard of one index, then the list of everybody or the presence queue;
// or a member's and then the recovery's. Nobody waits for a turn with one of them held.
// Nothing outside the package is ever called under any of them.
package hub
