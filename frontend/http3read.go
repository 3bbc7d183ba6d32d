package frontend

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"gatehouse/backend/h1"
)

// Why a request over HTTP/3 is refused. A status of 0 stands for a malformed one (RFC 9114 4.1.2): its stream is reset.
var (
	errTooLong   = errors.New("the head is too long")
	errLongField = errors.New("a field is too long")
	errManyField = errors.New("too many fields")
	errBadField  = errors.New("a field that no message may have")
	errTunnel    = errors.New("CONNECT is not served")
)

// read makes a request of what quic-go has read, held to the same rules as those of other versions. quic-go has checked the pseudo-header
// fields, that names are in lower case, and that :authority and Host agree.
func (x *http3Stream) read(q *h1.Request, lim *h1.ParseLimits) error {
	r, h := x.req, &q.Header
	upgrade := ""
	q.Method = h.Keep([]byte(r.Method))
	if r.Method == http.MethodConnect {
		switch r.Proto {
		case "HTTP/3.0":
			return &h1.Error{Status: 405, Side: h1.ByClient, Err: errTunnel}
		case "websocket": // RFC 9220: the GET that HTTP/1 has for it
			upgrade, q.Method = "websocket", h.Keep([]byte("GET"))
		default:
			return &h1.Error{Status: 501, Side: h1.ByClient, Err: fmt.Errorf("the :protocol %.40q", r.Proto)}
		}
	}
	q.Target = h.Keep([]byte(r.RequestURI))
	h.AddString("Host", r.Host)
	size, fields := len(r.Method)+len(r.RequestURI)+len(r.Host), 0
	most := func(limit, usual int) int {
		if limit > 0 {
			return limit
		}
		return usual
	}
	// A map has no order. One that is always the same spares servers and their logs surprises.
	var room [32]string
	names := slices.AppendSeq(room[:0], maps.Keys(r.Header))
	slices.Sort(names)
	for _, name := range names {
		for _, value := range r.Header[name] {
			size += len(name) + len(value) + len(": \r\n")
			fields++
			switch {
			case size > most(lim.Head, 32<<10):
				return &h1.Error{Status: 431, Side: h1.ByClient, Err: errTooLong}
			case len(name)+len(value)+len(": ") > most(lim.Field, 16<<10):
				return &h1.Error{Status: 431, Side: h1.ByClient, Err: errLongField}
			case fields > most(lim.Fields, 100):
				return &h1.Error{Status: 431, Side: h1.ByClient, Err: errManyField}
			case !h1.IsToken([]byte(name)) || !h1.IsValue([]byte(value)):
				return malformed3(errBadField)
			case name == "Host": // the same as the one that is there
			case strings.Contains(name, "_") && (!lim.Underscores || h1.Disguised([]byte(name))):
			default:
				h.AddString(name, value)
			}
		}
	}
	q.Bytes = size
	if err := q.Assemble(true, x.body == nil || upgrade != "", lim); err != nil {
		return err
	}
	if upgrade != "" {
		q.Upgrade = upgrade
		return offerWebSocket(h)
	}
	return nil
}

// malformed3 makes the error of a malformed request.
func malformed3(err error) error {
	return &h1.Error{Side: h1.ByClient, Err: err, Cause: 'P', State: 'R'}
}
