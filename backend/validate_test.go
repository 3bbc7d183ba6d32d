package backend

import (
	"strings"
	"testing"
	"time"

	"gatehouse/backend/loop"
)

// complaints collects what a Check or Advise method says, one "problem" a line.
func complaints(check func(func(field any, problem, remedy string))) string {
	var b strings.Builder
	check(func(field any, problem, remedy string) {
		if field == nil || problem == "" || remedy == "" {
			problem += " (without a field, a problem or a remedy)"
		}
		b.WriteString(problem + "\n")
	})
	return b.String()
}

func TestGoodBackendPasses(t *testing.T) {
	addr, err := loop.ParseAddr("192.168.1.11:80")
	if err != nil {
		t.Fatal(err)
	}
	c := &Config{
		Name:    "webfarm",
		Retries: 3,
		Cookie:  &Cookie{Name: "SERVERID", Indirect: true, NoCache: true, MaxIdle: 30 * time.Minute, MaxLife: 8 * time.Hour, Domain: []string{".example.com"}},
		Servers: []*Server{{Name: "webA", Address: addr, Weight: 256}, {Name: "webB", Address: addr, Cookie: "B", Backup: true}},
		Checks: []*Check{{Request: "HEAD /index.html HTTP/1.0", Host: "www.example.com", Expect: []Statuses{{200, 399}},
			Interval: time.Second, Rise: 1, Fall: 1, Port: 65535}},
		Forwardfor: &Forwardfor{Enabled: true, Header: "X-Forwarded-For"},
		AllBackups: true,
	}
	for _, part := range []interface {
		Check(func(field any, problem, remedy string))
	}{c, c.Cookie, c.Servers[0], c.Servers[1], c.Checks[0], c.Forwardfor} {
		if got := complaints(part.Check); got != "" {
			t.Errorf("%T: %s", part, got)
		}
	}
	if got := complaints(c.Advise) + complaints(c.Cookie.Advise); got != "" {
		t.Errorf("advice: %s", got)
	}
}

func TestCookieRules(t *testing.T) {
	secure, open := new(true), new(false)
	for _, c := range []struct {
		name   string
		cookie Cookie
		bad    string
		advice string
	}{
		{"plain", Cookie{Name: "A"}, "", ""},
		{"rewrite and indirect", Cookie{Name: "A", Mode: Rewrite, Indirect: true}, "a rewritten cookie cannot be indirect", ""},
		{"prefix and indirect", Cookie{Name: "A", Mode: Prefix, Indirect: true}, "", "a prefixed cookie that is indirect"},
		{"preserve in insert", Cookie{Name: "A", Preserve: true}, "", ""},
		{"preserve in indirect", Cookie{Name: "A", Mode: Passive, Indirect: true, Preserve: true}, "", ""},
		{"preserve in prefix", Cookie{Name: "A", Mode: Prefix, Preserve: true}, "preserve without", ""},
		{"dates in insert", Cookie{Name: "A", MaxIdle: time.Second}, "", ""},
		{"dates in prefix", Cookie{Name: "A", Mode: Prefix, MaxIdle: time.Minute}, "max_idle in mode prefix", ""},
		{"short age", Cookie{Name: "A", MaxLife: time.Millisecond}, "max_life is not between", ""},
		{"long age", Cookie{Name: "A", MaxLife: 1 << 32 * time.Second}, "max_life is not between", ""},
		{"name", Cookie{Name: "A=B"}, `"A=B" cannot be the name`, ""},
		{"domain", Cookie{Name: "A", Domain: []string{"example.com", "a;b"}}, `domain "a;b"`, ""},
		{"top-level domain", Cookie{Name: "A", Domain: []string{".com"}}, "", `domain ".com" has no dot`},
		{"same_site none", Cookie{Name: "A", SameSite: None}, "", ""},
		{"same_site none and secure", Cookie{Name: "A", SameSite: None, Secure: secure}, "", ""},
		{"same_site none and not secure", Cookie{Name: "A", SameSite: None, Secure: open}, "", "without secure"},
		{"secure in prefix", Cookie{Name: "A", Mode: Prefix, Secure: open}, "", "secure has no effect"},
		{"nocache in passive", Cookie{Name: "A", Mode: Passive, NoCache: true}, "", "nocache has no effect"},
	} {
		if got := complaints(c.cookie.Check); !strings.Contains(got, c.bad) || c.bad == "" && got != "" {
			t.Errorf("%s: Check says %q, want %q", c.name, got, c.bad)
		}
		if got := complaints(c.cookie.Advise); !strings.Contains(got, c.advice) || c.advice == "" && got != "" {
			t.Errorf("%s: Advise says %q, want %q", c.name, got, c.advice)
		}
	}
}

// TestCookieValueCharacters: our own delimiters may not stand in a server's value, in the mode that uses them.
func TestCookieValueCharacters(t *testing.T) {
	for _, c := range []struct {
		value string
		mode  CookieMode
		ok    bool
	}{
		{"A", Insert, true},
		{"web-1.example", Insert, true},
		{"A~B", Insert, true},
		{"A~B", Prefix, false},
		{"A|B", Insert, false},
		{"A|B", Prefix, true},
		{"A B", Passive, false},
		{"A;B", Passive, false},
		{"A,B", Passive, false},
		{`A"B`, Passive, false},
		{`A\B`, Passive, false},
		{"é", Passive, false},
		{"\x7f", Passive, false},
	} {
		if fault := valueFault(c.value, c.mode); (fault == "") != c.ok {
			t.Errorf("valueFault(%q, %v) = %q", c.value, c.mode, fault)
		}
	}
}

func TestServerAddresses(t *testing.T) {
	for _, c := range []struct{ addr, want string }{
		{"192.168.1.11:80", ""},
		{"[::1]:80", ""},
		{"app.internal:80", ""},
		{"unix:/run/app.sock", ""},
		{"192.168.1.11", ""}, // the port the client came to
		{"app.internal", ""},
		{":80", ":80 is no machine"},
		{"0.0.0.0:80", "0.0.0.0:80 is no machine"},
		{"fd@3", "an inherited descriptor is no server"},
	} {
		a, err := loop.ParseAddr(c.addr)
		if err != nil {
			t.Fatal(err)
		}
		s := &Server{Name: "a", Address: a, Weight: 1}
		if got := complaints(s.Check); strings.TrimSpace(got) != c.want {
			t.Errorf("%s: %q, want %q", c.addr, got, c.want)
		}
	}
}

func TestCheckRequests(t *testing.T) {
	for _, c := range []struct {
		request string
		ok      bool
	}{
		{"HEAD /", true},
		{"HEAD /index.html HTTP/1.0", true},
		{"GET /a?b=c HTTP/1.1", true},
		{"OPTIONS * HTTP/1.1", true},
		{"GET http://www.example.com/ HTTP/1.1", true},
		{"HEAD", false},
		{"HEAD  /", false},
		{"HEAD /a b HTTP/1.0", false},
		{"HE:AD /", false},
		{"GET index.html", false},
		{"GET /é", false},
		{"GET /\r\nX:", false},
		{"GET / HTTP/2", false},
		{"", false},
	} {
		if fault := requestFault(c.request); (fault == "") != c.ok {
			t.Errorf("requestFault(%q) = %q", c.request, fault)
		}
	}
}

func TestCheckTextAndIntervals(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(c *Check)
		want   string // the beginning
	}{
		{"all of it", func(c *Check) {
			c.Send, c.ExpectText, c.FastInterval, c.DownInterval = "PING\r\n", `^\+PONG`, time.Second, time.Minute
		}, ""},
		{"a pattern that is none", func(c *Check) { c.ExpectText = "(well" }, `expect_text "(well": `},
		{"no time", func(c *Check) { c.FastInterval = time.Microsecond }, "fast_interval is too short"},
		{"no time", func(c *Check) { c.DownInterval = -time.Second }, "down_interval is too short"},
		{"http says what its request says", func(c *Check) {
			c.Kind, c.Request, c.Expect, c.Send = CheckHTTP, "GET /", []Statuses{{200, 200}}, "PING"
		}, "send in a http check"},
		{"tls says a hello", func(c *Check) { c.Kind, c.Send = CheckTLS, "PING" }, "send in a tls check"},
		{"tls reads a record", func(c *Check) { c.Kind, c.ExpectText = CheckTLS, "PONG" }, "expect_text in a tls check"},
	} {
		check := tcpCheck()
		c.change(check)
		if got := complaints(check.Check); !strings.HasPrefix(got, c.want) || c.want == "" && got != "" {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
