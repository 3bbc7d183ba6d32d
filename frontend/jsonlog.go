package frontend

import (
	"bytes"
	"strconv"
	"time"

	"gatehouse/backend/h1"
)

// appendJSONLine appends an object (RFC 8259) in one line. Members for which there is nothing to say are left out: query,
// referer, user_agent, cache, error; and method, host, path and protocol of a request that could not be read, which has
// "bad_request" instead. A relayed connection has "mode", and nothing of a request. Times are milliseconds, -1 for a stage never reached; status is -1 when the client was told
// nothing.
func (l *Log) appendJSONLine(dst []byte, x *h1.Exchange) []byte {
	n := &x.Note
	dst = append(dst, `{"time":"`...)
	dst = l.clock.append(dst, began(n))
	dst = append(dst, `","client":"`...)
	dst = appendPeer(dst, x.Peer)
	dst = append(dst, `","client_port":`...)
	dst = appendInt(dst, int(x.Peer.Port()))
	dst = appendMember(dst, `,"frontend":`, n.Frontend)
	dst = appendMember(dst, `,"backend":`, n.Backend)
	dst = appendMember(dst, `,"server":`, n.Server)
	relayed := n.Mode == h1.TCP
	bad := unread(x)
	if relayed {
		dst = append(dst, `,"mode":"tcp"`...)
	} else if bad {
		dst = append(dst, `,"bad_request":true`...)
	} else {
		path, query, asked := bytes.Cut(x.Req.Target, []byte("?"))
		dst = appendMember(dst, `,"method":`, x.Req.Method)
		dst = appendMember(dst, `,"host":`, x.Req.Host)
		dst = appendMember(dst, `,"path":`, path)
		if asked {
			dst = appendMember(dst, `,"query":`, query)
		}
		dst = appendMember(dst, `,"protocol":`, protocol(x))
	}
	dst = strconv.AppendBool(append(dst, `,"tls":`...), x.Req.Secure)
	if !relayed {
		dst = appendInt(append(dst, `,"status":`...), n.Status)
	}
	dst = appendInt(append(dst, `,"bytes_in":`...), n.BytesIn)
	dst = appendInt(append(dst, `,"bytes_out":`...), n.BytesOut)
	if !relayed {
		dst = appendInt(append(dst, `,"request_ms":`...), n.Request)
	}
	dst = appendInt(append(dst, `,"queue_ms":`...), n.Queue)
	dst = appendInt(append(dst, `,"connect_ms":`...), n.Connect)
	if !relayed {
		dst = appendInt(append(dst, `,"response_ms":`...), n.Response)
	}
	dst = appendInt(append(dst, `,"total_ms":`...), n.Total)
	dst = append(dst, `,"termination":"`...)
	if relayed {
		dst = append(dst, termination(n.Cause), termination(n.State))
	} else {
		dst = appendTermination(dst, n)
	}
	dst = appendInt(append(dst, `","retries":`...), n.Retries)
	dst = strconv.AppendBool(append(dst, `,"redispatched":`...), n.Redispatched)
	if !bad {
		if v := x.Req.Header.Get(h1.Referer); v != nil {
			dst = appendMember(dst, `,"referer":`, v)
		}
		if v := x.Req.Header.Get(h1.UserAgent); v != nil {
			dst = appendMember(dst, `,"user_agent":`, v)
		}
	}
	if n.Cache != "" {
		dst = appendMember(dst, `,"cache":`, n.Cache)
	}
	if n.Err != nil {
		dst = appendMember(dst, `,"error":`, n.Err.Error()) // only what went wrong pays for its words
	}
	return append(dst, "}\n"...)
}

// appendMember appends a member whose value is a text; its name stands in key, with comma and colon.
func appendMember[T []byte | string](dst []byte, key string, text T) []byte {
	return appendJSON(append(dst, key...), text)
}

// appendDropped appends the line that says how many lines are missing at this place.
func (l *Log) appendDropped(dst []byte, n uint64) []byte {
	if l.form == JSON {
		dst = append(dst, `{"time":"`...)
		dst = l.clock.append(dst, time.Now().UnixMilli())
		dst = append(dst, `","message":"gatehouse: `...)
		dst = strconv.AppendUint(dst, n, 10)
		dst = append(dst, ` log lines dropped","dropped":`...)
		return append(strconv.AppendUint(dst, n, 10), "}\n"...)
	}
	dst = strconv.AppendUint(append(dst, "gatehouse: "...), n, 10)
	return append(dst, " log lines dropped\n"...)
}
