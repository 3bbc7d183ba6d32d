package frontend

import "gatehouse/backend/h1"

// appendTCPLog appends HAProxy's line for mode tcp (its manual, 8.2.2):
//
//	%ci:%cp [%t] %ft %b/%s %Tw/%Tc/%Tt %B %ts %ac/%fc/%bc/%sc/%rc %sq/%bq
func (l *Log) appendTCPLog(dst []byte, x *h1.Exchange) []byte {
	n := &x.Note
	dst = l.appendParties(dst, x)
	dst = appendInt(append(dst, ' '), n.Queue)
	dst = appendInt(append(dst, '/'), n.Connect)
	dst = appendInt(append(dst, '/'), n.Total)
	dst = appendInt(append(dst, ' '), n.BytesOut)
	dst = append(dst, ' ', termination(n.Cause), termination(n.State))
	return append(appendCounters(dst, n), '\n')
}
