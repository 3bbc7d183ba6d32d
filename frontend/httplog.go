package frontend

import (
	"net/netip"
	"strings"
	"time"

	"gatehouse/backend/h1"
)

// appendHTTPLog appends HAProxy's line (its manual, 8.2.3):
//
//	%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq %hr %hs %{+Q}r
//
// Nothing is captured: %CC and %CS are "-", %hr and %hs are left out.
func (l *Log) appendHTTPLog(dst []byte, x *h1.Exchange) []byte {
	n := &x.Note
	dst = l.appendParties(dst, x)
	dst = appendInt(append(dst, ' '), n.Request)
	dst = appendInt(append(dst, '/'), n.Queue)
	dst = appendInt(append(dst, '/'), n.Connect)
	dst = appendInt(append(dst, '/'), n.Response)
	dst = appendInt(append(dst, '/'), n.Total)
	dst = appendInt(append(dst, ' '), n.Status)
	dst = appendInt(append(dst, ' '), n.BytesOut)
	dst = append(dst, " - - "...)
	dst = appendTermination(dst, n)

	dst = appendCounters(dst, n)
	if unread(x) {
		return append(dst, ` "<BADREQ>"`+"\n"...)
	}
	dst = append(dst, ` "`...)
	dst = appendEscaped(dst, x.Req.Method, hashHex)
	dst = append(dst, ' ')
	dst = appendEscaped(dst, x.Req.Target, hashHex)
	dst = append(dst, ' ')
	dst = append(dst, protocol(x)...)
	return append(dst, "\"\n"...)
}

// appendParties appends the start of each of HAProxy's lines: %ci:%cp [%t] %ft %b/%s
func (l *Log) appendParties(dst []byte, x *h1.Exchange) []byte {
	n := &x.Note
	dst = appendPeer(dst, x.Peer)
	dst = appendInt(append(dst, ':'), int(x.Peer.Port()))

	dst = append(dst, " ["...)
	dst = l.clock.append(dst, began(n))
	dst = append(dst, "] "...)

	dst = appendName(dst, n.Frontend)
	if x.Req.Secure {
		dst = append(dst, '~')
	}
	dst = append(dst, ' ')
	if n.Backend != "" {
		dst = appendName(dst, n.Backend)
	} else {
		dst = appendName(dst, n.Frontend) // a session that found no backend is still its frontend's
	}
	dst = append(dst, '/')
	switch {
	case n.Server != "":
		dst = appendName(dst, n.Server)
	case fromCache(n):
		dst = append(dst, "<CACHE>"...)
	default:
		dst = append(dst, "<NOSRV>"...)
	}
	return dst
}

// appendCounters appends connections, retries and places in queues: %ac/%fc/%bc/%sc/%rc %sq/%bq
func appendCounters(dst []byte, n *h1.Note) []byte {
	dst = appendInt(append(dst, ' '), n.ActConn)
	dst = appendInt(append(dst, '/'), n.FeConn)
	dst = appendInt(append(dst, '/'), n.BeConn)
	dst = appendInt(append(dst, '/'), n.SrvConn)
	dst = append(dst, '/')
	if n.Redispatched {
		dst = append(dst, '+')
	}
	dst = appendInt(dst, n.Retries)
	dst = appendInt(append(dst, ' '), n.SrvQueue)
	dst = appendInt(append(dst, '/'), n.BeQueue)
	return dst
}

// unread reports whether there is no request to be named.
func unread(x *h1.Exchange) bool { return x.Note.Bad || len(x.Req.Method) == 0 }

// began returns when an exchange began, in Unix milliseconds: now, if nobody noted it.
func began(n *h1.Note) int64 {
	if n.Begin > 0 {
		return n.Begin
	}
	return time.Now().UnixMilli()
}

// fromCache reports whether the cache answered (RFC 9211 2.1: the parameter "hit").
func fromCache(n *h1.Note) bool { return strings.Contains(n.Cache, "; hit") }

// protocol returns the version the client speaks.
func protocol(x *h1.Exchange) string {
	if x.Req.Proto != "" {
		return x.Req.Proto
	}
	if x.Req.Minor == 0 {
		return "HTTP/1.0"
	}
	return "HTTP/1.1"
}

// appendName appends the name of a block. Names are the configuration's, but spaces and quotes in one must not move the
// fields of a line.
func appendName(dst []byte, name string) []byte {
	if name == "" {
		return append(dst, '-')
	}
	return appendEscaped(dst, name, hashName)
}

var hashName = newEscape(` "#`, hashHex.form)

// appendTermination appends the four characters of HAProxy's termination state (its manual, 8.5).
func appendTermination(dst []byte, n *h1.Note) []byte {
	return append(dst, termination(n.Cause), termination(n.State), termination(n.CookieIn), termination(n.CookieOut))
}

// termination returns a character of the termination state that can stand in a line.
func termination(c byte) byte {
	if c <= ' ' || c >= 0x7f || c == '"' || c == '\\' {
		return '-'
	}
	return c
}

// appendPeer appends the address of a client without its port, and without the name of a network card.
func appendPeer(dst []byte, peer netip.AddrPort) []byte {
	if a := peer.Addr(); a.IsValid() {
		return a.Unmap().WithZone("").AppendTo(dst)
	}
	return append(dst, "unix"...)
}
