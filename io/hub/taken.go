package hub

// Taken is what came of asking a table that several hubs share for the id of a push.
type Taken struct {
	// Token is for [Push].Claim if the push is the caller's to make. Without it, and without what follows, somebody else is making it.
	Token string
	// Result is that of the push that was made with the id, as it was noted there.
	Result []byte
	// Made says that the push was made by somebody who has ended before its result was known, which is, as far as it goes, that it was
	// for these Users and Connections.
	Made               bool
	Users, Connections int
}
