// Package stage is where the ledger's books are performed: the server and what troubles it, browsers with the tabs of users, and
// the books that everybody keeps of it.
package stage
