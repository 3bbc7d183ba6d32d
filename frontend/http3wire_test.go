package frontend

import (
	"bytes"

	"github.com/quic-go/qpack"
	"github.com/quic-go/quic-go/quicvarint"
)

// headersFrame is a HEADERS frame (RFC 9114 7.2.2) with these fields, whatever they are.
func headersFrame(fields [][2]string) []byte {
	var block bytes.Buffer
	e := qpack.NewEncoder(&block)
	for _, f := range fields {
		e.WriteField(qpack.HeaderField{Name: f[0], Value: f[1]})
	}
	b := quicvarint.Append(nil, 1)
	b = quicvarint.Append(b, uint64(block.Len()))
	return append(b, block.Bytes()...)
}

// statusIn returns the :status of the HEADERS frame that b begins with, "" if it does not.
func statusIn(b []byte) string {
	kind, n, err := quicvarint.Parse(b)
	if err != nil || kind != 1 {
		return ""
	}
	b = b[n:]
	size, n, err := quicvarint.Parse(b)
	if err != nil || uint64(len(b)-n) < size {
		return ""
	}
	next := qpack.NewDecoder().Decode(b[n : n+int(size)])
	for {
		f, err := next()
		if err != nil {
			return ""
		}
		if f.Name == ":status" {
			return f.Value
		}
	}
}
