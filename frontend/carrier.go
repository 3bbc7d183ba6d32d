package frontend

import "gatehouse/backend/h1"

// carrier is how one version of HTTP carries an exchange to its client: a connection of HTTP/1, or a stream of HTTP/2. All but deaf may park.
type carrier interface {
	// send writes the response. It reports whether it can go on. An error before anything was written leaves room for a page.
	send(e *exchange, f *Frontend) (goOn bool, err error)
	// page sends a page of the proxy's own; last says that nothing follows on the connection.
	page(e *exchange, status int, last bool) error
	// interim hands an interim response (1xx) to the client.
	interim(e *exchange, r *h1.Response) error
	// tunnel tells the client that the protocol is switched, and relays between it and the server until both have ended.
	tunnel(e *exchange, f *Frontend)
	// deaf reports whether the client cannot be told anything any more.
	deaf() bool
	// cut ends it so that the client notices that something is missing.
	cut()
	// hangUp ends it after the last answer, so that the client can read that.
	hangUp()
}

// tell is Exchange.Inform.
func (e *exchange) tell(r *h1.Response) error { return e.wire.interim(e, r) }
