// Package hop passes HTTP requests to the server of the cluster that can answer them: those of clients whose session another
// server has, since a balancer sends them anywhere, and those of business servers that only the leader answers.
//
// There is one hop at most: who gets a request that has been passed on answers it, or says that he cannot. Such a request bears
// a badge, signed with a secret that the servers have in their Redis, and nobody else; it says where the request came from, so
// that addresses mean what they do without a hop. Everything else of the request stays as it is: path, query, Host, Origin,
// X-Forwarded-For, cookies, body.
package hop
