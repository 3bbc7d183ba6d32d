package frontend

import (
	"strings"
	"testing"

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

func mustAddr(t *testing.T, s string) loop.Addr {
	t.Helper()
	a, err := loop.ParseAddr(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestFrontendNeedsADoorAndAnAnswer(t *testing.T) {
	plain := &Bind{Address: mustAddr(t, ":80")}
	https := &Bind{Address: mustAddr(t, ":80"), Redirect: "https"}
	for _, c := range []struct {
		name   string
		config Config
		want   string
	}{
		{"bind and backend", Config{Binds: []*Bind{plain}, Backend: "farm"}, ""},
		{"redirect alone", Config{Binds: []*Bind{https}}, ""},
		{"routes alone", Config{Binds: []*Bind{plain}, Routes: []*Route{{Respond: 403}}}, ""},
		{"bind without backend", Config{Binds: []*Bind{plain}}, "without a backend"},
		{"redirect and another bind", Config{Binds: []*Bind{https, plain}}, "without a backend"},
		{"no bind", Config{Backend: "farm"}, "without a bind"},
		{"no bind but hosts", Config{Hosts: []string{"example.com"}, Backend: "farm"}, "frontend without a bind"},
		{"negative limit", Config{Binds: []*Bind{plain}, Backend: "farm", MaxConnections: -1}, "max_connections"},
	} {
		if got := complaints(c.config.Check); !strings.Contains(got, c.want) || c.want == "" && got != "" {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestBindRules(t *testing.T) {
	for _, c := range []struct {
		bind        Bind
		bad, advice string
	}{
		{Bind{Address: mustAddr(t, ":80")}, "", ""},
		{Bind{Address: mustAddr(t, "unix:/run/www.sock")}, "", ""},
		{Bind{Address: mustAddr(t, "fd@3")}, "", ""},
		{Bind{Address: mustAddr(t, ":443"), TLS: "site"}, "", ""},
		{Bind{Address: mustAddr(t, ":443")}, "", "port 443 without tls"},
		{Bind{Address: mustAddr(t, "192.168.1.1")}, "192.168.1.1 has no port", ""},
		{Bind{Address: mustAddr(t, ":80"), Redirect: "https"}, "", ""},
		{Bind{Address: mustAddr(t, ":80"), Redirect: "http"}, `redirect to "http"`, ""},
		{Bind{Address: mustAddr(t, ":443"), TLS: "site", Redirect: "https"}, "where https is spoken", ""},
	} {
		if got := complaints(c.bind.Check); !strings.Contains(got, c.bad) || c.bad == "" && got != "" {
			t.Errorf("%+v: Check says %q, want %q", c.bind, got, c.bad)
		}
		if got := complaints(c.bind.Advise); !strings.Contains(got, c.advice) || c.advice == "" && got != "" {
			t.Errorf("%+v: Advise says %q, want %q", c.bind, got, c.advice)
		}
	}
}

func TestHostFaults(t *testing.T) {
	for host, ok := range map[string]bool{
		"example.com": true, "*.example.com": true, "*": true, "localhost": true, "192.168.1.1": true, "[::1]": true, "a_b.example.com": true,
		"": false, "*.": false, "a.*.com": false, "*a.example.com": false, "example.com:80": false, "http://example.com": false,
		"example.com/": false, "-a.com": false, "a b": false, "unix:x": false, "fd@3": false, "*.192.168.1.1": false, "é.com": false,
	} {
		if fault := hostFault(host); (fault == "") != ok {
			t.Errorf("hostFault(%q) = %q", host, fault)
		}
	}
}

func TestRouteRules(t *testing.T) {
	for _, c := range []struct {
		route Route
		want  string
	}{
		{Route{Backend: "api"}, ""},
		{Route{Paths: []string{"/a", "/b/*", "/*", "/a%20b"}, Hosts: []string{"a.example.com"}, Respond: 403}, ""},
		{Route{Redirect: "https://{host}{uri}"}, ""},
		{Route{Redirect: "/new{uri}"}, ""},
		{Route{}, "without an answer"},
		{Route{Backend: "api", Respond: 403}, "several answers"},
		{Route{Backend: "api", Redirect: "/x"}, "several answers"},
		{Route{Respond: 100}, "respond 100"},
		{Route{Respond: 600}, "respond 600"},
		{Route{Respond: -1}, "respond -1"},
		{Route{Respond: 403, Paths: []string{"a"}}, "does not begin"},
		{Route{Respond: 403, Paths: []string{""}}, "does not begin"},
		{Route{Respond: 403, Paths: []string{"*"}}, "does not begin"},
		{Route{Respond: 403, Paths: []string{"/a*"}}, "star"},
		{Route{Respond: 403, Paths: []string{"/a/*/b"}}, "star"},
		{Route{Respond: 403, Paths: []string{"/a?b"}}, "query"},
		{Route{Respond: 403, Paths: []string{"/a b"}}, "blank"},
		{Route{Redirect: "example.com"}, "neither"},
		{Route{Redirect: "javascript:alert(1)"}, "neither"},
		{Route{Redirect: "https://{hots}/"}, "in braces"},
		{Route{Redirect: "https://exa mple.com/"}, "not a URL"},
		{Route{Respond: 403, Hosts: []string{"a.example.com", "A.example.com"}}, "there twice"},
	} {
		if got := complaints(c.route.Check); !strings.Contains(got, c.want) || c.want == "" && got != "" {
			t.Errorf("%+v: %q, want %q", c.route, got, c.want)
		}
	}
}

func TestUnreachableRoutes(t *testing.T) {
	route := func(hosts, paths string) *Route {
		return &Route{Hosts: strings.Fields(hosts), Paths: strings.Fields(paths), Respond: 403}
	}
	for _, c := range []struct {
		name          string
		hosts         string
		first, second *Route
		want          string
	}{
		{"other path", "", route("", "/a"), route("", "/b"), ""},
		{"same path", "", route("", "/a"), route("", "/a"), "unreachable"},
		{"path below", "", route("", "/a/*"), route("", "/a/b /a/b/*"), "unreachable"},
		{"path itself", "", route("", "/a/*"), route("", "/a"), ""},
		{"one path of two", "", route("", "/a/*"), route("", "/a/b /c"), ""},
		{"everything", "", route("", ""), route("", "/a"), "unreachable"},
		{"all paths written out", "", route("", "/*"), route("", "/a"), "unreachable"},
		{"after a path, everything", "", route("", "/a"), route("", ""), ""},
		{"other host", "", route("a.example.com", ""), route("b.example.com", ""), ""},
		{"same host", "", route("a.example.com", ""), route("A.example.com", "/x"), "unreachable"},
		{"host of a wildcard", "", route("*.example.com", ""), route("a.example.com", ""), "unreachable"},
		{"two levels below a wildcard", "", route("*.example.com", ""), route("a.b.example.com", ""), ""},
		{"wildcard after a host of it", "", route("a.example.com", ""), route("*.example.com", ""), ""},
		{"all hosts after one", "", route("a.example.com", ""), route("", ""), ""},
		{"a host the frontend has not", "a.example.com", route("b.example.com", ""), route("", ""), "does not serve"},
		{"a host under the frontend's wildcard", "*.example.com", route("b.example.com", ""), route("", ""), ""},
	} {
		f := &Config{Hosts: strings.Fields(c.hosts), Routes: []*Route{c.first, c.second}}
		if got := complaints(f.Advise); !strings.Contains(got, c.want) || c.want == "" && got != "" {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestLimitsAndMonitor(t *testing.T) {
	good := Limits{Target: 16 << 10, Field: 16 << 10, Head: 32 << 10, Fields: 100, MaxStreams: 100}
	if got := complaints(good.Check) + complaints(good.Advise); got != "" {
		t.Errorf("the defaults: %q", got)
	}
	for _, c := range []struct {
		change func(*Limits)
		want   string
	}{
		{func(l *Limits) { l.Target = 0 }, "target is less than 1"},
		{func(l *Limits) { l.Fields = 0 }, "fields is less than 1"},
		{func(l *Limits) { l.Body = -1 }, "body is less than 0"},
		{func(l *Limits) { l.PerSource = -1 }, "per_source is less than 0"},
		{func(l *Limits) { l.Field = 64 << 10 }, "field is larger than head"},
		{func(l *Limits) { l.Head = 8 << 10 }, "target is larger than head"},
	} {
		l := good
		c.change(&l)
		if got := complaints(l.Check) + complaints(l.Advise); !strings.Contains(got, c.want) {
			t.Errorf("%+v: %q, want %q", l, got, c.want)
		}
	}
	if got := complaints((&Monitor{}).Check); !strings.Contains(got, "without sources") {
		t.Errorf("an empty monitor: %q", got)
	}
	if got := complaints((&Monitor{URI: "alive"}).Check); !strings.Contains(got, "does not begin with a slash") {
		t.Errorf("a relative uri: %q", got)
	}
	if got := complaints((&Monitor{URI: "/alive"}).Check); got != "" {
		t.Errorf("a good monitor: %q", got)
	}
}

func TestLogFormatText(t *testing.T) {
	for _, f := range []LogFormat{HTTPLog, Combined, JSON} {
		var got LogFormat
		if err := got.UnmarshalText([]byte(f.String())); err != nil || got != f {
			t.Errorf("%v reads as %v, %v", f, got, err)
		}
	}
	f := JSON
	if err := f.UnmarshalText([]byte("xml")); err == nil || !strings.Contains(err.Error(), "httplog") || f != JSON {
		t.Errorf("xml: %v, %v", f, err)
	}
	if got := LogFormat(9).String(); got != "LogFormat(9)" {
		t.Errorf("an unknown format prints %q", got)
	}
}
