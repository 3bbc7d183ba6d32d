package h2

import (
	"errors"

	"gatehouse/backend/h1"
)

// Why a response is malformed.
var (
	errNoStatus  = errors.New("without :status")
	errBadStatus = errors.New("a :status that is not a number from 100 to 599")
	errPseudo    = errors.New("a pseudo-header field of a request in a response")
)

// What the head of a response may have, as in HTTP/1.
const (
	mostHead   = 64 << 10
	mostFields = 256
)

// MaxHead is how many bytes of fields a response may have, as AppendSetting announces it and Response checks it.
const MaxHead = mostHead

func broken(err error) error {
	return &h1.Error{Status: 502, Side: h1.ByServer, Err: err, Cause: 'P', State: 'H'}
}

// Response reads the head of a response to a request with that method into r, whose header is empty; ended says that no content
// follows. The block is read to its end in any case. An *Error is one of the connection, an *h1.Error one of the response alone, which is
// malformed (RFC 9113 8.1.1).
func Response(d *Decoder, block []byte, r *h1.Response, method []byte, ended bool) error {
	r.Status = 0
	var bad error
	size, n, begun := 0, 0, false
	for d.Begin(block); d.Next(); {
		f := &d.Field
		if size += len(f.Line); bad != nil {
			continue
		}
		switch {
		case size > mostHead:
			bad = broken(errHead)
		case f.Kind == Malformed:
			bad = broken(errField)
		case f.Kind > Dashless && begun:
			bad = broken(errOrder)
		case f.Kind == Status && r.Status != 0:
			bad = broken(errTwice)
		case f.Kind == Status:
			if r.Status = statusOf(f.Value()); r.Status == 0 {
				bad = broken(errBadStatus)
			}
		case f.Kind > Dashless:
			bad = broken(errPseudo)
		default:
			if begun = true; n == mostFields {
				bad = broken(errCount)
				continue
			}
			n++
			r.Header.AddLine(f.Line, f.N, f.ID)
		}
	}
	err := d.Err()
	switch {
	case err != nil:
	case bad != nil:
		err = bad
	case r.Status == 0:
		err = broken(errNoStatus)
	default:
		err = r.Assemble(method, ended)
	}
	if err != nil {
		r.Header.Reset()
	}
	return err
}

// statusOf reads a status, 0 for what is none.
func statusOf(v []byte) (n int) {
	if len(v) != 3 || v[0] < '1' || v[0] > '5' {
		return 0
	}
	for _, c := range v {
		if c < '0' || c > '9' {
			return 0
		}
		n = n*10 + int(c-'0')
	}
	return n
}

// ResponseTrailer reads the trailer section of a response and adds to h what of it may be passed on. Errors are those of Response.
func ResponseTrailer(d *Decoder, block []byte, h *h1.Header) error {
	var bad error
	size, n := 0, 0
	for d.Begin(block); d.Next(); {
		f := &d.Field
		size += len(f.Line)
		n++
		switch {
		case bad != nil:
		case size > mostHead:
			bad = broken(errHead)
		case n > mostFields:
			bad = broken(errCount)
		case f.Kind == Malformed:
			bad = broken(errField)
		case f.Kind > Dashless:
			bad = broken(errTrailing)
		case h1.MayTrail(f.ID, f.Name()):
			h.AddLine(f.Line, f.N, f.ID)
		}
	}
	if err := d.Err(); err != nil {
		return err
	}
	return bad
}
