package frontend

import (
	"errors"
	"net/netip"
	"testing"

	"gatehouse/backend/h1"
)

// relayed returns a relay that a server broke off.
func relayed() *h1.Exchange {
	x := &h1.Exchange{Peer: netip.MustParseAddrPort("192.0.2.7:51612")}
	x.Note.Reset()
	x.Req.Secure = true
	n := &x.Note
	n.Mode = h1.TCP
	n.Begin, n.Queue, n.Connect, n.Total = begin, 2, 3, 50
	n.Frontend, n.Backend, n.Server = "ssl", "farm", "A"
	n.BytesIn, n.BytesOut, n.Cause, n.State = 412, 2750, 'S', 'D'
	n.ActConn, n.FeConn, n.BeConn, n.SrvConn, n.SrvQueue, n.BeQueue = 9, 8, 7, 6, 4, 5
	n.Retries, n.Redispatched = 1, true
	n.Err = errors.New("relay to A: reset")
	return x
}

// TestRelayLines: a relayed connection has no request, and nothing is said of one.
func TestRelayLines(t *testing.T) {
	for form, want := range map[LogFormat]string{
		HTTPLog:  "192.0.2.7:51612 [24/Nov/2026:08:31:57.123] ssl~ farm/A 2/3/50 2750 SD 9/8/7/6/+1 4/5\n",
		Combined: `192.0.2.7 - - [24/Nov/2026:08:31:57 +0100] "-" - 2750 "-" "-"` + "\n",
		JSON: `{"time":"2026-11-24T08:31:57.123+01:00","client":"192.0.2.7","client_port":51612,"frontend":"ssl","backend":"farm","server":"A",` +
			`"mode":"tcp","tls":true,"bytes_in":412,"bytes_out":2750,"queue_ms":2,"connect_ms":3,"total_ms":50,` +
			`"termination":"SD","retries":1,"redispatched":true,"error":"relay to A: reset"}` + "\n",
	} {
		if got := lineOf(form, relayed()); got != want {
			t.Errorf("%v:\ngot  %swant %s", form, got, want)
		}
	}
}

// TestRelayLineWithoutServer: a relay that found no server says so, and so does one that began wrongly.
func TestRelayLineWithoutServer(t *testing.T) {
	x := relayed()
	n := &x.Note
	n.Reset()
	n.Mode, n.Begin, n.Frontend, n.Total, n.Cause, n.State, n.Bad = h1.TCP, begin, "ssl", 4, 'P', 'R', true
	const want = "192.0.2.7:51612 [24/Nov/2026:08:31:57.123] ssl~ ssl/<NOSRV> -1/-1/4 0 PR 0/0/0/0/0 0/0\n"
	if got := lineOf(HTTPLog, x); got != want {
		t.Errorf("got  %swant %s", got, want)
	}
}
