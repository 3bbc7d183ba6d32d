package convert

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestHAProxyWords(t *testing.T) {
	env := func(name string) (string, bool) {
		return map[string]string{"A": "x", "EMPTY": ""}[name], name == "A" || name == "EMPTY"
	}
	for _, c := range []struct {
		line    string
		words   string // joined by |
		comment string
		missing string
	}{
		{"", "", "", ""},
		{"  server a 1.2.3.4:80", "server|a|1.2.3.4:80", "", ""},
		{"a b # c", "a|b", " c", ""},
		{"a b#c", "a|b", "c", ""},
		{`a b\#c`, "a|b#c", "", ""},
		{`a b\ c`, "a|b c", "", ""},
		{`a "b c" 'd # e'`, "a|b c|d # e", "", ""},
		{`a "" b`, "a||b", "", ""},
		{`a 'b\n' "c\n"`, "a|b\\n|c\n", "", ""},
		{`a \x41\x zz`, "a|Ax|zz", "", ""},
		{`a "$A" $A '${A}' ${A}`, "a|x|$A|${A}|x", "", ""},
		{`a ${A}:80 "${B-y}" "${EMPTY}"`, "a|x:80|y|", "", ""},
		{`a "${B}"`, "a|", "", "B"},
		{`a ${`, "a|${", "", ""},
		{`a\`, `a\`, "", ""},
	} {
		words, comment, missing, problem := splitHAProxy(c.line, env)
		if got := strings.Join(words, "|"); got != c.words || missing != c.missing || problem != "" {
			t.Errorf("%q: got %q, missing %q, problem %q", c.line, got, missing, problem)
		}
		if comment == nil && c.comment != "" || comment != nil && comment.text != c.comment {
			t.Errorf("%q: got comment %v", c.line, comment)
		}
	}
}

func TestHAProxyTimes(t *testing.T) {
	for _, c := range []struct {
		text string
		want time.Duration
		ok   bool
	}{
		{"5000", 5 * time.Second, true}, {"50s", 50 * time.Second, true}, {"2m", 2 * time.Minute, true}, {"1h", time.Hour, true}, {"1d", 24 * time.Hour, true},
		{"500us", 500 * time.Microsecond, true}, {"7ms", 7 * time.Millisecond, true}, {"0", 0, true}, {"15min", 15 * time.Minute, true},
		{"", 0, false}, {"x", 0, false}, {"5 s", 0, false}, {"-1", 0, false}, {"1w", 0, false}, {"99999999999999999999", 0, false}, {"9999999999d", 0, false},
	} {
		if got, _, ok := parseHAProxyTime(c.text); got != c.want || ok != c.ok {
			t.Errorf("%q: got %v, %v", c.text, got, ok)
		}
	}
}

func TestHAProxyBindAddresses(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{":80", ":80"}, {"*:80", ":80"}, {"0.0.0.0:80", "0.0.0.0:80"}, {"10.0.0.1:80", "10.0.0.1:80"}, {"[::1]:80", "[::1]:80"}, {"::1:80", "[::1]:80"}, {":::80", "[::]:80"},
		{"ipv4@10.0.0.1:80", "10.0.0.1:80"}, {":80-82", ":80 :81 :82"}, {"/run/x", "unix:/run/x"}, {"unix@/run/x", "unix:/run/x"}, {"fd@3", "fd@3"},
		{"quic4@:443", "!"}, {"abns@x", "!"}, {":0", "!"}, {":80-70", "!"}, {":1-65535", "!"}, {":http", "!"}, {"10.0.0.1", "!"}, {"unix@", "!"},
	} {
		list, problem := bindAddresses(c.in, false)
		got := strings.Join(list, " ")
		if problem != "" {
			got = "!"
		}
		if got != c.want {
			t.Errorf("%s: got %s (%s), want %s", c.in, got, problem, c.want)
		}
	}
}

func TestHAProxyServerAddresses(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"10.0.0.1:80", "10.0.0.1:80"}, {"10.0.0.1", "10.0.0.1"}, {"10.0.0.1:0", "10.0.0.1"}, {"app:8080", "app:8080"}, {"[2001:db8::1]:80", "[2001:db8::1]:80"}, {"2001:db8::1:80", "[2001:db8::1]:80"},
		{"/run/app.sock", "unix:/run/app.sock"}, {"ipv6@[::1]:80", "[::1]:80"},
		{"10.0.0.1:+1", "!"}, {"*:80", "!"}, {":80", "!"}, {"0.0.0.0:80", "!"}, {"abns@x", "!"}, {"10.0.0.1:99999", "!"},
	} {
		got, problem := serverAddress(c.in)
		if problem != "" {
			got = "!"
		}
		if got != c.want {
			t.Errorf("%s: got %s (%s), want %s", c.in, got, problem, c.want)
		}
	}
}

// Conditions become routes where they speak of paths and hosts, and are refused by name otherwise.
func TestHAProxyConditions(t *testing.T) {
	for _, c := range []struct {
		acls, cond string
		want       string // hosts and paths of the routes, or the reason why there is none
	}{
		{"", "if { path /a }", "[] [/a]"},
		{"", "if { path_beg /a/ }", "[] [/a/*]"},
		{"", "if { path -m beg /a }", "[] [/a /a/*]"},
		{"", "if { hdr(host) -i A.example.com:80 b.example.com }", "[a.example.com b.example.com] []"},
		{"", "if { req.hdr(host),lower a.example.com }", "[a.example.com] []"},
		{"", "if { hdr_end(host) .example.com }", "[*.example.com] []"},
		{"", "if { hdr_dom(host) example.com }", "[example.com *.example.com] []"},
		{"acl a path /x\nacl a path /y", "if a", "[] [/x /y]"},
		{"acl a path /x\nacl h hdr(host) h.com", "if a h", "[h.com] [/x]"},
		{"acl a path /x\nacl b path /y", "if a or b", "[] [/x /y]"},
		{"acl a path /x\nacl h hdr(host) h.com", "if a || h", "[] [/x]; [h.com] []"},
		{"", "if TRUE", "default"},
		{"", "if FALSE", ""},
		{"", "if { ssl_fc } { path /x }", "whether it came over TLS cannot be said"},
		{"", "if !{ path /x }", "the opposite of a condition cannot be said"},
		{"", "unless { path /x }", "the opposite of a condition cannot be said"},
		{"", "if { src 10.0.0.0/8 }", "the condition src cannot be said"},
		{"", "if { path_reg ^/(x|y)/ }", "[] [/x/* /y/*]"},
		{"", "if { path -m reg ^/x$ }", "[] [/x]"},
		{"", "if { path_reg \\.php$ }", "the condition path_reg \\.php$ cannot be said"},
		{"", "if { path -f /etc/list }", "values from files cannot be said"},
		{"", "if { path /x } { path /y }", "two conditions on one thing cannot be said"},
		{"", "if unknown", "the condition unknown cannot be said"},
		{"", "if { path /x", "a brace is not closed cannot be said"},
		{"", "if { path }", "a condition without values cannot be said"},
	} {
		text := fmt.Sprintf("listen www\nmode http\nbind :80\n%s\nuse_backend b %s\nbackend b\nmode http\nserver s 10.0.0.1:80\n", c.acls, c.cond)
		p := &pile{options: memory(nil), report: &Report{}, site: &site{}}
		src, err := newSource("in", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := readHAProxy(p, []*source{src}); err != nil {
			t.Fatal(err)
		}
		var got []string
		if len(p.site.fronts) > 0 {
			for _, r := range p.site.fronts[0].routes {
				got = append(got, fmt.Sprintf("%v %v", r.hosts, r.paths))
			}
		}
		p.report.finish()
		for _, e := range p.report.Entries {
			if strings.HasPrefix(e.Directive, "use_backend") {
				if e.Verdict == Refused {
					got = append(got, strings.TrimPrefix(e.Reason, "routes go by path and host: "))
				}
				if strings.Contains(c.cond, "TRUE") && e.Verdict == Kept {
					got = []string{"default"}
				}
			}
		}
		if g := strings.Join(got, "; "); g != c.want {
			t.Errorf("%s, %s: got %s, want %s", c.acls, c.cond, g, c.want)
		}
	}
}

// In sections of mode tcp, what HAProxy itself ignores there has no effect.
func TestHAProxyHTTPWordsInTCPMode(t *testing.T) {
	r := convertText(t, HAProxy, "listen a :25\n mode tcp\n cookie X insert\n option httpclose\n server s 10.0.0.1:25 cookie x check\n")
	for line, want := range map[int]Verdict{3: Folded, 4: Folded, 5: Noted} {
		if e := entryOf(t, r, line); e.Verdict != want {
			t.Errorf("%s is %s, want %s", e.Directive, e.Verdict, want)
		}
	}
	if bytes.Contains(r.Text, []byte("cookie")) {
		t.Errorf("got:\n%s", r.Text)
	}
}

func TestHAProxyUnsetVariablesAreRefused(t *testing.T) {
	r := convertText(t, HAProxy, "listen a\n mode http\n bind \"${ADDR}:80\"\n bind :81\n server s 10.0.0.1:80\n")
	if e := entryOf(t, r, 3); e.Verdict != Refused || !strings.Contains(e.Reason, "ADDR is not set") {
		t.Errorf("%s is %s: %s", e.Directive, e.Verdict, e.Reason)
	}
}

// The defaults of one section never reach those that name another one.
func TestHAProxyNamedDefaults(t *testing.T) {
	r := convertText(t, HAProxy, `
defaults one
  mode http
  retries 7
defaults two
  mode http
  retries 9
listen a from one
  bind :80
  server s 10.0.0.1:80
listen b
  bind :81
  server s 10.0.0.1:80
`)
	text := string(r.Text)
	a, b, ok := strings.Cut(text, `listen "b"`)
	if !ok || !strings.Contains(a, "retries = 7") || !strings.Contains(b, "retries = 9") {
		t.Errorf("got:\n%s", text)
	}
}
