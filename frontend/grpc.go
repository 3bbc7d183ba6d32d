package frontend

import (
	"bytes"
	"strconv"

	"gatehouse/backend/h1"
	"gatehouse/backend/h2"
)

// What the proxy itself says to a call of gRPC is said as a server of gRPC would: 200, and the status of the call in trailers. A page for a
// browser would reach the caller as "unexpected HTTP status" with its HTML behind it.

var typeRPC = []byte("application/grpc")

// isRPC reports whether a request is a call of gRPC: its content is application/grpc, or that with a format ("+proto").
func isRPC(q *h1.Request) bool {
	v := q.Header.Get(h1.ContentType)
	return bytes.HasPrefix(v, typeRPC) && (len(v) == len(typeRPC) || v[len(typeRPC)] == '+' || v[len(typeRPC)] == ';')
}

// The codes of gRPC that stand for statuses of HTTP.
const (
	rpcUnknown          = 2
	rpcPermissionDenied = 7
	rpcUnimplemented    = 12
	rpcInternal         = 13
	rpcUnavailable      = 14
	rpcUnauthenticated  = 16
)

// rpcCode returns the code for a status of HTTP, as gRPC's mapping has it for answers that carry none
// (https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md).
func rpcCode(status int) int {
	switch status {
	case 400:
		return rpcInternal
	case 401:
		return rpcUnauthenticated
	case 403:
		return rpcPermissionDenied
	case 404:
		return rpcUnimplemented
	case 429, 502, 503, 504:
		return rpcUnavailable
	}
	return rpcUnknown
}

// refuseRPC makes the answer to a call of gRPC in the place of the page for a status: a head that is a trailer section at once
// ("Trailers-Only").
func (e *exchange) refuseRPC(status int) {
	r := &e.Resp
	r.Status = 200
	r.Header.Reset()
	r.Header.Add("Content-Type", typeRPC)
	r.Header.AddString("grpc-status", strconv.Itoa(rpcCode(status)))
	r.Header.AddString("grpc-message", strconv.Itoa(status)+" "+reason(status)) // has no character that must be encoded
	e.pageRules().Response(&e.Exchange)
}

// refuseRPC sends it.
func (s *stream) refuseRPC(e *exchange, status int) {
	h, r := s.h, &e.Resp
	e.refuseRPC(status)
	at := h.beginHead(s, r.Status)
	h.out = h2.AppendHeader(h.out, &r.Header)
	s.endHead(e, true)
	e.Note.Status = r.Status
	s.finishHead(e, at, true)
}
