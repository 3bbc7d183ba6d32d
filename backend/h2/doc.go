// Package h2 is HTTP/2 on the wire, for both of its sides: frames (RFC 9113), header blocks (HPACK, RFC 7541), and the priorities of
// RFC 9218. It is pure: bytes in, values out. Whoever reads and writes connections keeps their state.
//
//	f := h2.ParseFrame(b)                          // nine bytes
//	block, err := f.Block(b[9:9+f.Len])            // of a HEADERS frame
//	d.Begin(block)                                 // d is the connection's Decoder
//	for d.Next() {
//		use(d.Field.Name(), d.Field.Value())
//	}
//	err = d.Err()                                  // ends the connection
//
// Nothing here allocates once its buffers have grown.
package h2
