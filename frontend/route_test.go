package frontend

import (
	"fmt"
	"net/url"
	"path"
	"strings"
	"testing"
)

// site has a route that denies, one for a single path, one for a host, one for an encoded slash.
func site() *router {
	return newRouter([]*Route{
		{Paths: []string{"/admin/*", "/admin"}, Respond: 403},
		{Paths: []string{"/login"}, Backend: "login"},
		{Paths: []string{"/api/*"}, Hosts: []string{"api.example.com", "*.api.example.com"}, Backend: "api"},
		{Hosts: []string{"old.example.com"}, Redirect: "https://new.example.com{uri}"},
	})
}

func TestRouterTakesTheFirstThatMatches(t *testing.T) {
	const refused = -2
	r := site()
	for _, c := range []struct {
		host, target string
		want         int
	}{
		{"example.com", "/", noRoute},
		{"example.com", "*", noRoute},
		{"example.com", "", noRoute},
		{"example.com", "/admin", 0},
		{"example.com", "/admin/", 0},
		{"example.com", "/admin/x?y=/../..", 0},
		{"example.com", "/administrator", noRoute},
		{"example.com", "/Admin/", noRoute},
		{"example.com", "/login", 1},
		{"example.com", "/login?next=/", 1},
		{"example.com", "/login/", noRoute},
		{"example.com", "/login/x", noRoute},
		{"example.com", "/api/x", noRoute},
		{"api.example.com", "/api/x", 2},
		{"v1.API.example.com:443", "/api/x", 2},
		{"api.example.com", "/api", noRoute},
		{"api.example.com", "/admin/x", 0},
		{"old.example.com", "/anything", 3},
		{"old.example.com", "*", 3},
		{"", "/login", 1},

		// The normal form decides.
		{"example.com", "/%61dmin/x", 0},
		{"example.com", "/a/../admin/x", 0},
		{"example.com", "/%2e%2e/admin/x", 0},
		{"example.com", "/./admin", 0},
		{"example.com", "/admin/../login", 1},
		{"example.com", "/admin/..", noRoute},
		{"example.com", "/log%69n", 1},
		{"example.com", "/login/.", noRoute},

		// Readings that agree are none of our business.
		{"example.com", "/a%20b", noRoute},
		{"example.com", "/group%2Fproject", noRoute},
		{"example.com", "/admin/a%2Fb", 0},
		{"example.com", "//", noRoute},
		{"example.com", "//login/", noRoute},
		{"example.com", "/page;jsessionid=1", noRoute},
		{"example.com", "/100%", noRoute},

		// Readings that do not are refused.
		{"example.com", "/admin%2Fx", refused},
		{"example.com", "/x%2F..%2Fadmin/x", refused},
		{"example.com", "/x/..%2fadmin/x", refused},
		{"example.com", "/admin/..%2f", refused},
		{"example.com", "//admin/x", refused},
		{"example.com", "/x//../../admin/", 0},
		{"example.com", "/x//../admin/", refused},
		{"example.com", `/admin\x`, refused},
		{"example.com", `/x\..\admin\`, refused},
		{"example.com", "/x/..;/admin/", refused},
		{"example.com", "/x/%2e%2e;v=1/admin/", refused},
		// Only a server that decodes slashes but does not merge them ends up in /admin/.
		{"example.com", "/admin%2Fx%2F%2F..%2F..", refused},

		// Only one that removes dots, decodes slashes and removes dots again does.
		{"example.com", "/admin%2Fx/..%2F../../z", refused},

		{"example.com", "/a%00b", refused},
		{"old.example.com", "/%00", refused},
		{"example.com", "/a?b=%00", noRoute},
	} {
		got, ok := r.match([]byte(c.host), []byte(c.target))
		if !ok {
			got = refused
		}
		if got != c.want {
			t.Errorf("%s %s: route %d, want %d", c.host, c.target, got, c.want)
		}
	}
}

func TestRouterWithoutRoutesTakesNothingAndRefusesOnlyNUL(t *testing.T) {
	r := newRouter(nil)
	for _, target := range []string{"/", "//admin%2F..;/", `/\..\`} {
		if i, ok := r.match([]byte("example.com"), []byte(target)); i != noRoute || !ok {
			t.Errorf("%s: %d %v", target, i, ok)
		}
	}
	if _, ok := r.match([]byte("example.com"), []byte("/%00")); ok {
		t.Error("an encoded NUL is let through")
	}
}

func TestRouterPathForEverything(t *testing.T) {
	r := newRouter([]*Route{{Paths: []string{"/*"}}})
	for _, target := range []string{"/", "/a", "/a%2F..", "//x"} {
		if i, ok := r.match(nil, []byte(target)); i != 0 || !ok {
			t.Errorf("%s: %d %v", target, i, ok)
		}
	}
	if i, _ := r.match(nil, []byte("*")); i != noRoute {
		t.Error(`"*" is no path`)
	}
}

// A path of the configuration may be written in any of its spellings, and one that servers may read differently
// protects its other readings too.
func TestRouterReadsItsOwnPathsToo(t *testing.T) {
	r := newRouter([]*Route{{Paths: []string{"/b%c3%bccher/*", "/a%2Fb", "/%7euser/", "/x/../y"}}})
	for target, want := range map[string]int{
		"/b%C3%BCcher/1": 0, "/b%c3%bccher/1": 0, "/bücher/1": 0, "/b%C3%BCcher": noRoute,
		"/a%2fb": 0, "/~user/": 0, "/%7Euser/": 0, "/y": 0, "/x/y": noRoute,
	} {
		if i, ok := r.match(nil, []byte(target)); i != want || !ok {
			t.Errorf("%s: %d %v, want %d", target, i, ok, want)
		}
	}
	if _, ok := r.match(nil, []byte("/a/b")); ok {
		t.Error("/a/b is what some servers make of /a%2Fb, and passes")
	}
}

func TestRouterAllocatesNothing(t *testing.T) {
	r, host := site(), []byte("www.example.com:443")
	for _, target := range []string{"/assets/app.css?v=1", "/login", "/a%20b", "/x/../y"} {
		b := []byte(target)
		if n := testing.AllocsPerRun(100, func() { r.match(host, b) }); n != 0 {
			t.Errorf("%s: %v allocations, want 0: every request is matched", target, n)
		}
	}
}

func BenchmarkRouter(b *testing.B) {
	r, host := site(), []byte("www.example.com:443")
	for _, target := range []string{"/assets/css/app.31415926.css?v=1", "/assets/a%20b.css", "/a%2F%2e%2e%5c%3b//b"} {
		b.Run(target[1:7], func(b *testing.B) {
			t := []byte(target)
			b.ReportAllocs()
			for b.Loop() {
				r.match(host, t)
			}
		})
	}
}

// FuzzRouter plays the attacker of a route that denies: whatever gets past it must not be /admin/ to a server that
// decodes and cleans paths, nor to one that only cleans, nor to one that takes backslashes for slashes.
func FuzzRouter(f *testing.F) {
	for _, s := range []string{
		"/admin/x", "/%61dmin/x", "/x/../admin/", "//admin/", "/x/..%2fadmin/", `/x\..\admin\`, "/admin%2Fx%2F%2F..%2F..",
		"/./admin/", "/.%2fadmin/", "/;/../admin/", "/..;/admin/", "/admin%00", "/%2561dmin/", "/admin?x", "*",
	} {
		f.Add(s)
	}
	r := site()
	f.Fuzz(func(t *testing.T, target string) {
		place, ok := r.match([]byte("example.com"), []byte(target))
		if !ok || place == 0 || !strings.HasPrefix(target, "/") {
			return
		}
		raw := target
		if i := strings.IndexAny(raw, "?#"); i >= 0 {
			raw = raw[:i]
		}
		reads := map[string]string{"cleans": path.Clean(raw), "takes backslashes": path.Clean(strings.ReplaceAll(raw, `\`, "/"))}
		if dec, err := url.PathUnescape(raw); err == nil {
			reads["decodes and cleans"] = path.Clean(dec)
			reads["decodes and takes backslashes"] = path.Clean(strings.ReplaceAll(dec, `\`, "/"))
		}
		if u, err := url.ParseRequestURI(raw); err == nil {
			reads["resolves dots, then decodes and cleans"] = path.Clean(u.ResolveReference(u).Path)
		}
		for who, p := range reads {
			if p == "/admin" || strings.HasPrefix(p, "/admin/") {
				t.Errorf("%q takes route %d; a server that %s sees %q", target, place, who, p)
			}
		}
		// Encoding what needs no encoding changes nothing.
		encoded := fmt.Sprintf("%%%02x", 'a')
		if p, k := r.match([]byte("example.com"), []byte(strings.ReplaceAll(raw, "a", encoded))); !strings.Contains(raw, "%") && (p != place || !k) {
			t.Errorf("%q takes route %d, with its letters encoded %d %v", raw, place, p, k)
		}
	})
}
