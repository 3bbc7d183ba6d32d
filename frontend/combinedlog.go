package frontend

import "gatehouse/backend/h1"

// appendCombined appends a line of Apache's combined format, byte counts with heads as its combinedio has them:
//
//	%h %l %u %t "%r" %>s %O "%{Referer}i" "%{User-Agent}i"
//
// Who the user is (%l, %u) is not known here. What was not sent or not read is "-".
func (l *Log) appendCombined(dst []byte, x *h1.Exchange) []byte {
	n := &x.Note
	dst = appendPeer(dst, x.Peer)
	dst = append(dst, " - - ["...)
	dst = l.clock.append(dst, began(n))
	dst = append(dst, `] "`...)
	bad := unread(x)
	if bad {
		dst = append(dst, '-')
	} else {
		dst = appendEscaped(dst, x.Req.Method, backslash)
		dst = append(dst, ' ')
		dst = appendEscaped(dst, x.Req.Target, backslash)
		dst = append(dst, ' ')
		dst = append(dst, protocol(x)...)
	}
	dst = append(dst, `" `...)
	dst = appendCount(dst, int64(n.Status))
	dst = append(dst, ' ')
	dst = appendCount(dst, n.BytesOut)
	var referer, agent []byte
	if !bad {
		referer, agent = x.Req.Header.Get(h1.Referer), x.Req.Header.Get(h1.UserAgent)
	}
	dst = append(dst, ` "`...)
	dst = appendField(dst, referer)
	dst = append(dst, `" "`...)
	dst = appendField(dst, agent)
	return append(dst, "\"\n"...)
}

// appendCount appends n, "-" where there is nothing to count.
func appendCount(dst []byte, n int64) []byte {
	if n <= 0 {
		return append(dst, '-')
	}
	return appendInt(dst, n)
}

// appendField appends the value of a field, "-" where it did not come.
func appendField(dst, v []byte) []byte {
	if v == nil {
		return append(dst, '-')
	}
	return appendEscaped(dst, v, backslash)
}
