package h1

import (
	"net/netip"
	"strings"
	"testing"

	"gatehouse/backend/loop"
)

// ruled returns an exchange with these request and response fields, one to a line.
func ruled(t testing.TB, request, response string) *Exchange {
	t.Helper()
	x := &Exchange{Loop: &loop.Loop{}, Peer: netip.MustParseAddrPort("[::ffff:192.0.2.7]:5555"), Local: netip.MustParseAddrPort("10.0.0.1:8443")}
	x.Req.Method, x.Req.Target, x.Req.Host, x.Req.Secure = []byte("GET"), []byte("/a?b=c"), []byte("shop.example.com:8443"), true
	x.Note.Server = "webA"
	for _, half := range []struct {
		h     *Header
		lines string
	}{{&x.Req.Header, request}, {&x.Resp.Header, response}} {
		for l := range strings.Lines(half.lines) {
			name, value, _ := strings.Cut(strings.TrimSuffix(l, "\n"), ": ")
			half.h.AddString(name, value)
		}
	}
	return x
}

func lines(h *Header) string {
	return strings.ReplaceAll(strings.TrimSuffix(string(h.AppendTo(nil)), "\r\n"), "\r\n", "\n")
}

func TestRules(t *testing.T) {
	for _, c := range []struct {
		why   string
		rules HeaderRules
		came  string
		want  string
	}{
		{"set replaces every line of the name, in any case", HeaderRules{Set: []FieldRule{{"X-Frame-Options", "DENY"}}},
			"x-frame-options: ALLOW\nVary: *\nX-FRAME-OPTIONS: 2", "Vary: *\nX-Frame-Options: DENY"},
		{"set of a name the engine knows", HeaderRules{Set: []FieldRule{{"Server", "s"}}}, "server: Apache/2.2 (Unix)", "Server: s"},
		{"several values of one name are lines, wherever they stand", HeaderRules{Set: []FieldRule{{"Link", "<a>"}, {"Allow", "GET"}, {"link", "<b>"}}},
			"Link: <c>", "Allow: GET\nLink: <a>\nlink: <b>"},
		{"add leaves what came", HeaderRules{Add: []FieldRule{{"Link", "<a>"}}}, "Link: <c>", "Link: <c>\nLink: <a>"},
		{"remove", HeaderRules{Remove: []string{"x-powered-by", "SERVER"}}, "X-Powered-By: PHP/5\nServer: x\nAge: 1", "Age: 1"},
		{"a star removes what begins so", HeaderRules{Remove: []string{"x-internal-*"}}, "X-Internal-A: 1\nX-Internal: 2\nX-INTERNAL-: 3", "X-Internal: 2"},
		{"first remove, then set, then add", HeaderRules{Add: []FieldRule{{"A", "3"}}, Set: []FieldRule{{"A", "2"}}, Remove: []string{"A"}}, "A: 1", "A: 2\nA: 3"},
		{"words stand for the exchange", HeaderRules{Set: []FieldRule{{"X", "{client_ip} {client_port} {host} {authority} {port} {scheme} {method} {uri} {server}"}}},
			"", "X: 192.0.2.7 5555 shop.example.com shop.example.com:8443 8443 https GET /a?b=c webA"},
		{"words with text around them", HeaderRules{Set: []FieldRule{{"X", "a{host}b{host}"}}}, "", "X: ashop.example.combshop.example.com"},
		{"other braces are text", HeaderRules{Set: []FieldRule{{"Report-To", `{"group":"a","endpoints":[{"url":"https://{host}/r"}]}{}{A}{`}}},
			"", `Report-To: {"group":"a","endpoints":[{"url":"https://shop.example.com/r"}]}{}{A}{`},
	} {
		x := ruled(t, "", c.came)
		NewRules(&c.rules).Response(x)
		if got := lines(&x.Resp.Header); got != c.want {
			t.Errorf("%s: got\n%s\nwant\n%s", c.why, got, c.want)
		}
	}
}

// What says who asked is no part of what a cache may remember. Whoever comes later with rules has the last word about it all the same.
func TestSharedRules(t *testing.T) {
	who := FieldRule{"X-Who", "{client_ip}"}
	for _, c := range []struct {
		why   string
		rules HeaderRules
		later HeaderRules
		came  string
		head  string
		own   string
	}{
		{"what is alike for everybody is shared", HeaderRules{Set: []FieldRule{{"X-Who", "{host}"}}}, HeaderRules{}, "A: 1", "A: 1\nX-Who: shop.example.com", ""},
		{"set", HeaderRules{Set: []FieldRule{who}}, HeaderRules{}, "x-who: forged\nA: 1", "A: 1", "X-Who: 192.0.2.7"},
		{"the port of a client", HeaderRules{Set: []FieldRule{{"A", "on {client_port}"}}}, HeaderRules{}, "", "", "A: on 5555"},
		{"lines of one name stay together", HeaderRules{Set: []FieldRule{who, {"x-who", "b"}}, Add: []FieldRule{{"X-WHO", "c"}}}, HeaderRules{}, "", "", "X-Who: 192.0.2.7\nx-who: b\nX-WHO: c"},
		{"add replaces nothing", HeaderRules{Add: []FieldRule{who, who}}, HeaderRules{}, "X-Who: a\nX-WHO: b", "X-Who: a\nX-WHO: b", "X-Who: a\nX-Who: b\nX-Who: 192.0.2.7\nX-Who: 192.0.2.7"},
		{"cookies add up", HeaderRules{Add: []FieldRule{{"Set-Cookie", "ip={client_ip}"}}}, HeaderRules{}, "Set-Cookie: a=1", "Set-Cookie: a=1", "Set-Cookie: ip=192.0.2.7"},
		{"removed later", HeaderRules{Set: []FieldRule{who}}, HeaderRules{Remove: []string{"x-*"}}, "", "", ""},
		{"set later", HeaderRules{Set: []FieldRule{who}}, HeaderRules{Set: []FieldRule{{"x-who", "front"}}}, "", "x-who: front", ""},
		{"a cookie that was inserted stays", HeaderRules{Set: []FieldRule{{"Set-Cookie", "ip={client_ip}"}}}, HeaderRules{Remove: []string{"Set-Cookie"}}, "Set-Cookie: a=1", "", "Set-Cookie: ip=192.0.2.7"},
	} {
		x := ruled(t, "", c.came)
		NewRules(&c.rules).Shared(x)
		NewRules(&c.later).Response(x)
		if head, own := lines(&x.Resp.Header), lines(&x.Own); head != c.head || own != c.own {
			t.Errorf("%s: got\n%s\nand\n%s\nwant\n%s\nand\n%s", c.why, head, own, c.head, c.own)
		}
	}
}

// Nothing is sent where there is nothing to say: a unix socket has no address, HTTP/1.0 no host, an answer from the cache no server.
func TestRulesWithoutAValueSendNothing(t *testing.T) {
	x := ruled(t, "", "X-Server: forged\n")
	x.Peer, x.Local, x.Req.Host, x.Note.Server = netip.AddrPort{}, netip.AddrPort{}, nil, ""
	NewRules(&HeaderRules{Set: []FieldRule{{"A", "{client_ip}"}, {"B", "{client_port}"}, {"C", "{host}"}, {"D", "{port}"}, {"X-Server", "{server}"}}}).Response(x)
	if got := lines(&x.Resp.Header); got != "" {
		t.Errorf("got %q", got)
	}
}

func TestHostWordHasNoPort(t *testing.T) {
	for host, want := range map[string]string{"a": "a", "a:80": "a", "a:": "a", "[::1]:80": "[::1]", "[::1]": "[::1]", "[fe80::12]": "[fe80::12]"} {
		if got := string(withoutPort([]byte(host))); got != want {
			t.Errorf("%s: got %s, want %s", host, got, want)
		}
	}
}

// What rules add to a request is not taken for what its client sent.
func TestRulesSealTheRequest(t *testing.T) {
	x := ruled(t, "X-Real-IP: 1.2.3.4\n", "")
	NewRules(&HeaderRules{Add: []FieldRule{{"X-Real-IP", "{client_ip}"}}}).Request(x)
	NewRules(&HeaderRules{Add: []FieldRule{{"X-Other", "1"}}}).Request(x)
	if n := x.Req.Header.Came(); n != 1 {
		t.Errorf("the client sent %d lines", n)
	}
	var copied Header
	copied.CopyFrom(&x.Req.Header)
	if n := copied.Came(); n != 1 {
		t.Errorf("the client sent %d lines of a copy", n)
	}
	x.Req.Header.Reset()
	x.Req.Header.AddString("A", "b")
	if n := x.Req.Header.Came(); n != 1 {
		t.Errorf("%d lines of the next request came", n)
	}
}

func TestNoRulesChangeNothing(t *testing.T) {
	for _, c := range []*HeaderRules{nil, {}} {
		r := NewRules(c)
		if r != nil {
			t.Errorf("%v is something", c)
		}
		x := ruled(t, "A: b", "A: b")
		r.Request(x)
		r.Response(x)
		if lines(&x.Req.Header) != "A: b" || lines(&x.Resp.Header) != "A: b" || x.Req.Header.Came() != 1 {
			t.Error("something has changed")
		}
	}
}

// A rule costs no memory on the way.
func TestRulesAllocateNothing(t *testing.T) {
	r := NewRules(&HeaderRules{Set: []FieldRule{{"X-Frame-Options", "DENY"}, {"X-Client", "{client_ip}:{client_port} {host} {uri}"}},
		Add: []FieldRule{{"Link", "a"}}, Remove: []string{"Server", "X-Powered-By", "X-Internal-*"}})
	x := ruled(t, "", "")
	apply := func() {
		x.Resp.Header.Reset()
		x.Resp.Header.AddString("Server", "Apache")
		x.Resp.Header.AddString("X-Powered-By", "PHP")
		r.Response(x)
	}
	apply()
	if n := testing.AllocsPerRun(100, apply); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestRuleFaults(t *testing.T) {
	one := func(name, value string) *HeaderRules { return &HeaderRules{Set: []FieldRule{{name, value}}} }
	request := func(at RulePlace) func(*HeaderRules, func(any, string, string)) {
		return func(c *HeaderRules, bad func(any, string, string)) { c.CheckRequest(at, bad) }
	}
	front, back, response := request(InFrontend), request(InBackend), (*HeaderRules).CheckResponse
	for _, c := range []struct {
		check func(*HeaderRules, func(any, string, string))
		rules *HeaderRules
		want  string // of the problem or the remedy, "" for none
	}{
		{front, one("X-A", "b"), ""},
		{front, one("X-Forwarded-Proto", "https"), ""},
		{front, one("X-Real-IP", "{client_ip}"), ""},
		{back, one("Host", "app.internal"), ""},
		{back, one("X-Forwarded-For", "{client_ip}"), ""},
		{response, one("X-Served-By", "{server}"), ""},
		{response, one("NEL", `{"report_to":"a"}`), ""},
		{response, &HeaderRules{Remove: []string{"Set-Cookie", "X-*"}}, ""},
		{front, nil, ""},
		{front, &HeaderRules{}, "rules without a rule"},
		{front, one("Host", "app.internal"), `"Host" chooses the frontend`},
		{back, &HeaderRules{Remove: []string{"host"}}, `"host" cannot be missing`},
		{back, &HeaderRules{Add: []FieldRule{{"Host", "a"}}}, `"Host" cannot be missing, or be there twice`},
		{front, one("X-Forwarded-For", "1.2.3.4"), "is told by forwardfor"},
		{front, one("Expect", "100-continue"), "is between two neighbours"},
		{front, one("Connection", "close"), `"Connection" is about one connection`},
		{response, one("content-length", "0"), `"content-length" is about one connection`},
		{response, one("Transfer-Encoding", "chunked"), `"Transfer-Encoding" is about one connection`},
		{response, one("Content-Encoding", "gzip"), "says how the content is to be read"},
		{response, &HeaderRules{Remove: []string{"Date"}}, "says when the answer was made"},
		{front, one("X A", "b"), `"X A" is not the name of a header field`},
		{front, one("X-A\r\nEvil", "b"), `is not the name of a header field`},
		{front, one("", "b"), `"" is not the name of a header field`},
		{front, one("X-A", ""), "is empty: to take the field out"},
		{front, one("X-A", " b"), "has a blank at an end"},
		{front, one("X-A", "a\r\nSet-Cookie: x"), "holds a control character"},
		{front, one("X-A", "a\x7f"), "holds a control character"},
		{front, one("X-A", "{clientip}"), "Did you mean {client_ip}?"},
		{front, one("X-A", "{ip}"), "Did you mean {client_ip}?"},
		{front, one("X-A", "{request_id}"), "There are {authority}, {client_ip}"},
		{front, one("X-A", "{server}"), "nothing is called {server}"},
		{front, &HeaderRules{Remove: []string{"*"}}, "a star alone"},
		{front, &HeaderRules{Remove: []string{"X-*"}}, `"X-*" would remove X-Forwarded-For too`},
		{response, &HeaderRules{Remove: []string{"Con*"}}, `"Con*" would remove Connection too`},
		{front, &HeaderRules{Remove: []string{"X *"}}, `"X " is not the name of a header field`},
		{front, &HeaderRules{Remove: []string{""}}, `"" is not the name of a header field`},
	} {
		var said []string
		c.check(c.rules, func(_ any, problem, remedy string) { said = append(said, problem+". "+remedy) })
		got := strings.Join(said, "\n")
		if c.want == "" && got != "" || !strings.Contains(got, c.want) || len(said) > 1 {
			t.Errorf("%+v: got %q, want %q", c.rules, got, c.want)
		}
	}
}

// FuzzRules puts any rules that are found without faults on any message that was parsed: it stays one message, and the fields that frame it
// stay the same.
func FuzzRules(f *testing.F) {
	f.Add("X-A", "{host}{uri}", "Server", "GET / HTTP/1.1\r\nHost: a\r\nX-A: b\r\n\r\n")
	f.Add("x-forwarded-proto", "{scheme}{", "X-Int*", "GET /x HTTP/1.1\r\nHost: a:80\r\nX-Internal: b\r\nContent-Length: 3\r\n\r\n")
	f.Add("Cookie", `{"a":{client_ip}}`, "cookie", "GET http://[::1]:80/x HTTP/1.1\r\nHost: a:80\r\nCookie: b\r\nTransfer-Encoding: chunked\r\n\r\n")
	x := ruled(f, "", "")
	f.Fuzz(func(t *testing.T, name, value, remove, message string) {
		c := &HeaderRules{Set: []FieldRule{{name, value}}, Add: []FieldRule{{name, value}}, Remove: []string{remove}}
		fault := false
		c.CheckRequest(InFrontend, func(any, string, string) { fault = true })
		x.Req.Header.Reset()
		x.Req = Request{Header: x.Req.Header}
		lim := ParseLimits{Target: 1 << 10, Field: 1 << 10, Head: 4 << 10, Fields: 50}
		if n, err := x.Req.Parse([]byte(message), &lim); fault || err != nil || n == 0 || len(x.Req.Host) == 0 {
			return
		}
		length := string(x.Req.Header.Get(ContentLength))
		host := string(x.Req.Header.Get(Host))
		NewRules(c).Request(x)
		out := append(AppendRequest(nil, &x.Req), "\r\n"...)
		var again Request
		lim.Head, lim.Field, lim.Fields = 1<<20, 1<<20, 1000
		lim.Underscores = true
		n, err := again.Parse(out, &lim)
		if err != nil || n != len(out) {
			t.Fatalf("%+v made of %q\n%q, which is no request any more: %v", c, message, out, err)
		}
		if string(again.Header.Get(ContentLength)) != length || string(again.Header.Get(Host)) != host || again.Length != x.Req.Length {
			t.Fatalf("%+v made of %q\n%q", c, message, out)
		}
	})
}
