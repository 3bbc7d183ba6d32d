package frontend

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"gatehouse/backend/h1"
)

// begin is when the exchanges of these tests begin: 24 November 2026, 08:31:57.123 at UTC+1.
var begin = time.Date(2026, 11, 24, 7, 31, 57, 123e6, time.UTC).UnixMilli()

// goodExchange returns an exchange that went as exchanges should.
func goodExchange() *h1.Exchange {
	x := &h1.Exchange{Peer: netip.MustParseAddrPort("192.0.2.7:51612")}
	x.Note.Reset()
	x.Req.Secure = true
	x.Req.Method, x.Req.Target, x.Req.Host, x.Req.Minor = []byte("GET"), []byte("/index.html?a=b"), []byte("shop.example.com"), 1
	x.Req.Header.AddString("Host", "shop.example.com")
	x.Req.Header.AddString("Referer", "https://www.example.org/")
	x.Req.Header.AddString("User-Agent", `Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0`)
	n := &x.Note
	n.Begin, n.Request, n.Queue, n.Connect, n.Response, n.Total = begin, 1, 2, 3, 40, 50
	n.Frontend, n.Backend, n.Server = "https", "webfarm", "webA"
	n.Status, n.BytesIn, n.BytesOut = 200, 412, 2750
	n.CookieIn, n.CookieOut = 'V', 'N'
	n.ActConn, n.FeConn, n.BeConn, n.SrvConn, n.SrvQueue, n.BeQueue = 9, 8, 7, 6, 4, 5
	return x
}

// badExchange returns one whose request could not be read, with whatever a buffer may hold then.
func badExchange() *h1.Exchange {
	x := goodExchange()
	n := &x.Note
	n.Reset()
	n.Begin, n.Frontend, n.Bad, n.Status, n.Total, n.BytesOut, n.Cause, n.State = begin, "https", true, 400, 5, 187, 'C', 'R'
	x.Req.Secure = false
	x.Req.Method, x.Req.Target = []byte("half"), []byte("read")
	return x
}

// lineOf returns what a log of that form writes for an exchange.
func lineOf(form LogFormat, x *h1.Exchange) string {
	l := lineLogs[form]
	drop(l)
	l.Exchange(x)
	return string(l.fill) + string(l.stages[0].lines)
}

// drop forgets the lines of a log that nobody writes out.
func drop(l *Log) { l.fill, l.stages[0].lines = l.fill[:0], l.stages[0].lines[:0] }

// lineLogs are logs nobody writes out, one of each form. They are kept: a new one costs a fuzz target most of its time.
var lineLogs = func() (all [3]*Log) {
	for form := range all {
		all[form] = newLog(&LogConfig{Format: LogFormat(form)}, nil, nil)
		all[form].clock.loc = time.FixedZone("CET", 3600)
	}
	return
}()

func TestHTTPLogLine(t *testing.T) {
	for _, c := range []struct {
		story  string
		change func(x *h1.Exchange)
		want   string
	}{
		{"an exchange over TLS", func(x *h1.Exchange) {},
			`192.0.2.7:51612 [24/Nov/2026:08:31:57.123] https~ webfarm/webA 1/2/3/40/50 200 2750 - - --VN 9/8/7/6/0 4/5 "GET /index.html?a=b HTTP/1.1"`},
		{"in the clear, by an old client, from an IPv4 peer of an IPv6 socket", func(x *h1.Exchange) {
			x.Req.Secure, x.Req.Minor, x.Peer = false, 0, netip.MustParseAddrPort("[::ffff:192.0.2.7]:1")
		}, `192.0.2.7:1 [24/Nov/2026:08:31:57.123] https webfarm/webA 1/2/3/40/50 200 2750 - - --VN 9/8/7/6/0 4/5 "GET /index.html?a=b HTTP/1.0"`},
		{"by IPv6", func(x *h1.Exchange) { x.Peer = netip.MustParseAddrPort("[2001:db8::7%eth0]:99") },
			`2001:db8::7:99 [24/Nov/2026:08:31:57.123] https~ webfarm/webA 1/2/3/40/50 200 2750 - - --VN 9/8/7/6/0 4/5 "GET /index.html?a=b HTTP/1.1"`},
		{"over a unix socket", func(x *h1.Exchange) { x.Peer = netip.AddrPort{} },
			`unix:0 [24/Nov/2026:08:31:57.123] https~ webfarm/webA 1/2/3/40/50 200 2750 - - --VN 9/8/7/6/0 4/5 "GET /index.html?a=b HTTP/1.1"`},
		{"redispatched after three retries", func(x *h1.Exchange) {
			x.Note.Retries, x.Note.Redispatched, x.Note.CookieIn, x.Note.CookieOut = 3, true, 'D', 'I'
		}, `192.0.2.7:51612 [24/Nov/2026:08:31:57.123] https~ webfarm/webA 1/2/3/40/50 200 2750 - - --DI 9/8/7/6/+3 4/5 "GET /index.html?a=b HTTP/1.1"`},
		{"timed out in the queue", func(x *h1.Exchange) {
			n := &x.Note
			n.Request, n.Queue, n.Connect, n.Response, n.Total, n.Server, n.Status, n.Cause, n.State, n.BytesOut = 0, 1001, -1, -1, 1001, "", 503, 's', 'Q', 217
		}, `192.0.2.7:51612 [24/Nov/2026:08:31:57.123] https~ webfarm/<NOSRV> 0/1001/-1/-1/1001 503 217 - - sQVN 9/8/7/6/0 4/5 "GET /index.html?a=b HTTP/1.1"`},
		{"the client was told nothing", func(x *h1.Exchange) { x.Note.Status = -1 },
			`192.0.2.7:51612 [24/Nov/2026:08:31:57.123] https~ webfarm/webA 1/2/3/40/50 -1 2750 - - --VN 9/8/7/6/0 4/5 "GET /index.html?a=b HTTP/1.1"`},
		{"answered by the cache", func(x *h1.Exchange) { x.Note.Server, x.Note.Cache = "", "gatehouse; hit; ttl=30" },
			`192.0.2.7:51612 [24/Nov/2026:08:31:57.123] https~ webfarm/<CACHE> 1/2/3/40/50 200 2750 - - --VN 9/8/7/6/0 4/5 "GET /index.html?a=b HTTP/1.1"`},
		{"hostile bytes", func(x *h1.Exchange) { x.Req.Target = []byte("/\"#\r\n\x00\x7f{|}\\é ~") },
			`192.0.2.7:51612 [24/Nov/2026:08:31:57.123] https~ webfarm/webA 1/2/3/40/50 200 2750 - - --VN 9/8/7/6/0 4/5 "GET /#22#23#0D#0A#00#7F{|}\#C3#A9 ~ HTTP/1.1"`},
		{"names that would move the fields", func(x *h1.Exchange) { x.Note.Frontend, x.Note.Server = "my site", "a\nb" },
			`192.0.2.7:51612 [24/Nov/2026:08:31:57.123] my#20site~ webfarm/a#0Ab 1/2/3/40/50 200 2750 - - --VN 9/8/7/6/0 4/5 "GET /index.html?a=b HTTP/1.1"`},
	} {
		x := goodExchange()
		c.change(x)
		if got := lineOf(HTTPLog, x); got != c.want+"\n" {
			t.Errorf("%s:\n got %q\nwant %q", c.story, got, c.want)
		}
	}
}

// HAProxy 2.6 writes this for a request it cannot read (guide 2.1, dontlognull).
func TestHTTPLogLineOfABadRequest(t *testing.T) {
	const want = `192.0.2.7:51612 [24/Nov/2026:08:31:57.123] https https/<NOSRV> -1/-1/-1/-1/5 400 187 - - CR-- 0/0/0/0/0 0/0 "<BADREQ>"` + "\n"
	if got := lineOf(HTTPLog, badExchange()); got != want {
		t.Errorf("\n got %q\nwant %q", got, want)
	}
}

func TestCombinedLine(t *testing.T) {
	x := goodExchange()
	const want = `192.0.2.7 - - [24/Nov/2026:08:31:57 +0100] "GET /index.html?a=b HTTP/1.1" 200 2750 "https://www.example.org/" "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"` + "\n"
	if got := lineOf(Combined, x); got != want {
		t.Errorf("\n got %q\nwant %q", got, want)
	}
	x.Req.Header.Reset()
	x.Req.Header.AddString("User-Agent", "\"\\\a\b\t\v\x00é")
	x.Req.Target, x.Note.BytesOut = []byte("/\n"), 0
	const hostile = `192.0.2.7 - - [24/Nov/2026:08:31:57 +0100] "GET /\n HTTP/1.1" 200 - "-" "\"\\\x07\b\t\v\x00\xc3\xa9"` + "\n"
	if got := lineOf(Combined, x); got != hostile {
		t.Errorf("\n got %q\nwant %q", got, hostile)
	}
	const bad = `192.0.2.7 - - [24/Nov/2026:08:31:57 +0100] "-" 400 187 "-" "-"` + "\n"
	if got := lineOf(Combined, badExchange()); got != bad {
		t.Errorf("\n got %q\nwant %q", got, bad)
	}
}

func TestJSONLine(t *testing.T) {
	x := goodExchange()
	x.Note.Cache, x.Note.Err = "gatehouse; fwd=miss", errors.New("server: \"it\"\n")
	const want = `{"time":"2026-11-24T08:31:57.123+01:00","client":"192.0.2.7","client_port":51612,"frontend":"https","backend":"webfarm","server":"webA",` +
		`"method":"GET","host":"shop.example.com","path":"/index.html","query":"a=b","protocol":"HTTP/1.1","tls":true,"status":200,"bytes_in":412,"bytes_out":2750,` +
		`"request_ms":1,"queue_ms":2,"connect_ms":3,"response_ms":40,"total_ms":50,"termination":"--VN","retries":0,"redispatched":false,` +
		`"referer":"https://www.example.org/","user_agent":"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0","cache":"gatehouse; fwd=miss","error":"server: \"it\"\n"}` + "\n"
	if got := lineOf(JSON, x); got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
	const bad = `{"time":"2026-11-24T08:31:57.123+01:00","client":"192.0.2.7","client_port":51612,"frontend":"https","backend":"","server":"","bad_request":true,"tls":false,"status":400,"bytes_in":0,"bytes_out":187,` +
		`"request_ms":-1,"queue_ms":-1,"connect_ms":-1,"response_ms":-1,"total_ms":5,"termination":"CR--","retries":0,"redispatched":false}` + "\n"
	if got := lineOf(JSON, badExchange()); got != bad {
		t.Errorf("\n got %s\nwant %s", got, bad)
	}
}

func TestJSONEscapesWhatActsOnATerminal(t *testing.T) {
	for text, want := range map[string]string{
		"":                              `""`,
		"a/<b>&'":                       `"a/<b>&'"`,
		"\"\\\n\r\t":                    `"\"\\\n\r\t"`,
		"\x00\x1b[2J\x7f":               `"\u0000\u001b[2J\u007f"`,
		"é€😀":                           `"é€😀"`,
		"\u0080\u009b":                  `"\u0080\u009b"`,
		"\u2028\u2029":                  `"\u2028\u2029"`,
		"a\xffb\xc3":                    `"a\ufffdb\ufffd"`,
		"\xed\xa0\x80":                  `"\ufffd\ufffd\ufffd"`, // a surrogate
		"\xf0\x9f\x98":                  `"\ufffd\ufffd\ufffd"`, // cut short
		"\xc0\x80" + "x\xe2\x82":        `"\ufffd\ufffdx\ufffd\ufffd"`,
		strings.Repeat("a", maxText+1):  `"` + strings.Repeat("a", maxText) + `..."`,
		strings.Repeat("a", maxText):    `"` + strings.Repeat("a", maxText) + `"`,
		strings.Repeat("é", 3000):       `"` + strings.Repeat("é", maxText/2) + `..."`,
		"x" + strings.Repeat("é", 3000): `"x` + strings.Repeat("é", maxText/2-1) + `..."`,
		strings.Repeat("\n", 3000):      `"` + strings.Repeat(`\n`, 2048) + `..."`,
	} {
		if got := string(appendJSON(nil, text)); got != want {
			t.Errorf("%.20q: %d bytes %.80s\nwant %d bytes %.80s", text, len(got), got, len(want), want)
		}
	}
}

func TestLongTextIsCut(t *testing.T) {
	for _, c := range []struct {
		text string
		e    *escape
		want string
	}{
		{strings.Repeat("a", maxText), hashHex, strings.Repeat("a", maxText)},
		{strings.Repeat("a", maxText+1), hashHex, strings.Repeat("a", maxText) + "..."},
		{strings.Repeat("a", 100<<10) + "\n", hashHex, strings.Repeat("a", maxText) + "..."},
		{strings.Repeat("\n", maxText), hashHex, strings.Repeat("#0A", maxText/3+1) + "..."},
		{strings.Repeat("\xff", maxText), backslash, strings.Repeat(`\xff`, maxText/4) + "..."},
		{strings.Repeat("a", maxText-1) + "\nb", hashHex, strings.Repeat("a", maxText-1) + "#0A..."},
	} {
		if got := string(appendEscaped(nil, c.text, c.e)); got != c.want {
			t.Errorf("%d bytes %.5q: %d bytes ending in %q, want %d ending in %q", len(c.text), c.text,
				len(got), got[len(got)-10:], len(c.want), c.want[len(c.want)-10:])
		}
	}
}

func TestLogClock(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skip(err) // a machine without time zones
	}
	for _, form := range []LogFormat{HTTPLog, Combined, JSON} {
		c := logClock{form: form, loc: berlin}
		layout := [...]string{"02/Jan/2006:15:04:05.000", "02/Jan/2006:15:04:05 -0700", "2006-01-02T15:04:05.000Z07:00"}[form]
		// Around a clock change, across places of the table, back and forth.
		change := time.Date(2026, 10, 25, 1, 0, 0, 0, time.UTC)
		for i := range 300 {
			at := change.Add(time.Duration(i%7*17-50)*time.Second + time.Duration(i)*time.Millisecond)
			if got, want := string(c.append(nil, at.UnixMilli())), at.In(berlin).Format(layout); got != want {
				t.Fatalf("%s, want %s", got, want)
			}
		}
	}
	c := logClock{form: JSON, loc: time.UTC}
	for ms, want := range map[int64]string{0: "1970-01-01T00:00:00.000Z", -5: "1970-01-01T00:00:00.000Z", 1<<40 + 7: "2004-11-03T19:53:47.783Z"} {
		if got := string(c.append(nil, ms)); got != want {
			t.Errorf("%d ms: %s, want %s", ms, got, want)
		}
	}
}

func TestFormattingALineAllocatesNothing(t *testing.T) {
	for _, form := range []LogFormat{HTTPLog, Combined, JSON} {
		l := newLog(&LogConfig{Format: form}, nil, nil)
		x := goodExchange()
		if n := testing.AllocsPerRun(1000, func() {
			drop(l)
			l.Exchange(x)
		}); n != 0 {
			t.Errorf("format %d: %v allocations, want 0: this runs on the event loops, for every exchange", form, n)
		}
	}
}

func BenchmarkLine(b *testing.B) {
	for form, name := range []string{"httplog", "combined", "json"} {
		b.Run(name, func(b *testing.B) {
			l := newLog(&LogConfig{Format: LogFormat(form)}, nil, nil)
			x := goodExchange()
			b.ReportAllocs()
			for b.Loop() {
				drop(l)
				l.Exchange(x)
			}
		})
	}
}

// FuzzLine: whatever clients send, a line is one line of printable characters that ends where it should.
func FuzzLine(f *testing.F) {
	for _, s := range []string{"/", "/\r\nfake line", "\"", `\`, `\"`, "#22", "\x00\x1b[31m", "é\xff\xed\xa0\x80", "\u2028\u009b", strings.Repeat("\xff", 5000), ""} {
		f.Add("GET", s, s, s, s, "srv", byte('-'))
	}
	f.Fuzz(func(t *testing.T, method, target, host, agent, referer, name string, state byte) {
		x := goodExchange()
		x.Req.Method, x.Req.Target, x.Req.Host = []byte(method), []byte(target), []byte(host)
		x.Req.Header.Reset()
		x.Req.Header.AddString("User-Agent", agent)
		x.Req.Header.AddString("Referer", referer)
		x.Note.Server, x.Note.State, x.Note.Err, x.Note.Cache = name, state, errors.New(agent), referer
		for _, form := range []LogFormat{HTTPLog, Combined, JSON} {
			line := lineOf(form, x)
			body, ok := strings.CutSuffix(line, "\n")
			if !ok || len(line) > 30<<10 {
				t.Fatalf("line of %d bytes: %q", len(line), line)
			}
			for _, r := range body {
				if r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029 || form != JSON && r >= 0x7f {
					t.Fatalf("character %#x in %q", r, line)
				}
			}
			switch form {
			case HTTPLog:
				if strings.Count(body, `"`) != 2 || body[len(body)-1] != '"' {
					t.Errorf("request is not the end of %q", body)
				}
				before, _, _ := strings.Cut(body, `"`)
				if got := len(strings.Fields(before)); got != 12 {
					t.Errorf("%d fields before the request of %q", got, body)
				}
			case Combined:
				if n := strings.Count(strings.ReplaceAll(strings.ReplaceAll(body, `\\`, ""), `\"`, ""), `"`); n != 6 {
					t.Errorf("%d quotes in %q", n, body)
				}
			case JSON:
				var o struct {
					Agent string `json:"user_agent"`
					Path  string
				}
				if err := json.Unmarshal([]byte(body), &o); err != nil || !utf8.ValidString(body) {
					t.Fatalf("%v: %q", err, body)
				}
				if method != "" && len(agent) < 500 && utf8.ValidString(agent) && o.Agent != agent {
					t.Errorf("agent %q became %q", agent, o.Agent)
				}
			}
		}
	})
}

func TestDroppedLineIsWellFormedToo(t *testing.T) {
	for _, form := range []LogFormat{HTTPLog, Combined} {
		if got := string(newLog(&LogConfig{Format: form}, nil, nil).appendDropped(nil, 1234)); got != "gatehouse: 1234 log lines dropped\n" {
			t.Errorf("%q", got)
		}
	}
	line := newLog(&LogConfig{Format: JSON}, nil, nil).appendDropped(nil, 1234)
	var o struct {
		Time    time.Time
		Message string
		Dropped int
	}
	if err := json.Unmarshal(line, &o); err != nil || o.Dropped != 1234 || o.Message != "gatehouse: 1234 log lines dropped" || o.Time.IsZero() {
		t.Errorf("%v: %s", err, line)
	}
	if !bytes.HasSuffix(line, []byte("}\n")) {
		t.Errorf("%q", line)
	}
}
