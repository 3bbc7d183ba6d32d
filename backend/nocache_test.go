package backend

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gatehouse/backend/h1"
)

// sent returns the lines of an answer as its writer sends them: a Cache-Control in the client's own part replaces
// the shareable part's, and those that speak to shared caches alone.
func sent(x *h1.Exchange) (lines []string) {
	own := string(x.Own.AppendTo(nil))
	replaced := x.Own.Has(h1.CacheControl)
	for l := range strings.Lines(string(x.Resp.Header.AppendTo(nil))) {
		name, _, _ := strings.Cut(strings.ToLower(l), ":")
		if replaced && slices.Contains([]string{"cache-control", "cdn-cache-control", "surrogate-control"}, name) {
			continue
		}
		lines = append(lines, strings.TrimSuffix(l, "\r\n"))
	}
	for l := range strings.Lines(own) {
		lines = append(lines, strings.TrimSuffix(l, "\r\n"))
	}
	return lines
}

func fieldValues(lines []string, name string) (values []string) {
	for _, l := range lines {
		if k, v, _ := strings.Cut(l, ":"); strings.EqualFold(k, name) {
			values = append(values, strings.TrimSpace(v))
		}
	}
	return values
}

// directiveRE is a directive of Cache-Control, in the test's own reading.
var directiveRE = regexp.MustCompile(`[^\s,="]+(?:="(?:[^"\\]|\\.)*"|=[^\s,"]*)?`)

func directivesOf(values []string) (all []string) {
	for _, v := range values {
		all = append(all, directiveRE.FindAllString(strings.ToLower(v), -1)...)
	}
	return all
}

// mayStore judges by RFC 9111 3 and RFC 9213 2.2 whether a shared cache may store an answer: one that knows every
// status, believes every field that speaks to shared caches, and guesses freshness wherever it may.
func mayStore(status int, lines []string) bool {
	for _, name := range []string{"CDN-Cache-Control", "Surrogate-Control", "Acme-Cache-Control", "Cache-Control"} {
		values := fieldValues(lines, name)
		if len(values) == 0 && name != "Cache-Control" {
			continue
		}
		d := directivesOf(values)
		has := func(prefix string) bool {
			return slices.ContainsFunc(d, func(s string) bool { return strings.HasPrefix(s, prefix) })
		}
		switch {
		case slices.Contains(d, "no-store") && !slices.Contains(d, "must-understand") && !has("must-understand="):
			return false
		case slices.Contains(d, "private"): // without a list of fields
			return false
		case has("public"), has("s-maxage"), has("max-age"):
			return true
		case len(fieldValues(lines, "Expires")) > 0:
			return true
		}
		// RFC 9110 15.1: heuristically cacheable.
		return slices.Contains([]int{200, 203, 204, 206, 300, 301, 304, 308, 404, 405, 410, 414, 501}, status)
	}
	return false
}

var cacheControls = [][]string{
	nil, {"public"}, {"private"}, {"no-store"}, {"no-cache"}, {"max-age=60"}, {"public, max-age=60"}, {"max-age=0, s-maxage=60"},
	{"s-maxage=60"}, {"PUBLIC,S-MaxAge=60"}, {"must-revalidate"}, {"must-revalidate, max-age=60"}, {"proxy-revalidate, max-age=5"},
	{`no-cache="set-cookie"`}, {`no-cache="set-cookie", max-age=60`}, {`private="set-cookie", max-age=60`}, {`private="x"`}, {"private=x, public"},
	{"private, max-age=60"}, {"public, private"}, {"private, s-maxage=5"}, {"no-store, public"}, {"no-store, must-understand, max-age=60"},
	{"must-understand, no-store"}, {"private, must-understand, no-store"}, {"immutable, max-age=60"}, {"max-age=60, stale-while-revalidate=60"},
	{"max-age=60", "public"}, {"private", "public"}, {"no-store", "s-maxage=60"}, {"max-age=60", "private"}, {"private", "max-age=60"},
	{""}, {","}, {", ,public, ,"}, {`ext="a, public, b"`}, {`ext="private"`}, {`ext="no-store", max-age=60`}, {`"private"`}, {"max-age=60 private"},
	{`max-age="60`}, {`private="x`, "max-age=60"}, {`no-store, x="`}, {`x=" no-store`}, {"=private"}, {"max-age=, private"}, {"private;max-age=60"},
	{"no-store=1, max-age=60"}, {"xprivate"}, {"private-x"}, {`ext="\"", public`}, {"max-age = 60"}, {"private "}, {"\tprivate\t,\tmax-age=1"},
}

var alongside = [][]string{
	nil, {"Expires: Thu, 01 Jan 2099 00:00:00 GMT"}, {`ETag: "1"`}, {"Last-Modified: Thu, 01 Jan 2015 00:00:00 GMT"}, {"Pragma: no-cache"},
	{"CDN-Cache-Control: max-age=60"}, {"CDN-Cache-Control: no-store"}, {"Surrogate-Control: max-age=60"}, {"cdn-cache-control: public", "surrogate-control: max-age=9"},
	{"Acme-Cache-Control: max-age=60"}, {"ACME-CACHE-CONTROL: public", "X-Accel-Expires: 60"}, {"Vary: Cookie"}, {"Set-Cookie: a=1"},
}

// The property of behaviour.md 3.4: no shared cache may store an answer that carries an inserted cookie, whatever its
// status, method and header. HAProxy's nocache has gaps here.
func TestNoSharedCacheMayStoreTheCookie(t *testing.T) {
	p := newPersistence(plainCookie(Insert), []string{"A", "B"}, nil)
	cases, leaks := 0, 0
	for _, status := range []int{200, 201, 203, 204, 206, 226, 300, 301, 302, 303, 304, 307, 308, 400, 401, 403, 404, 405, 410, 414, 451, 500, 501, 503, 599} {
		for _, cc := range cacheControls {
			for _, other := range alongside {
				x := ask()
				x.Resp.Status = status
				for _, v := range cc {
					x.Resp.Header.AddString("Cache-Control", v)
				}
				for _, l := range other {
					name, value, _ := strings.Cut(l, ": ")
					x.Resp.Header.AddString(name, value)
				}
				if mayStore(status, sent(x)) {
					leaks++
				}
				cases++
				shareable := joined(&x.Resp.Header, "Cache-Control")
				p.mark(x, claim{server: -1}, 0, 1e9)
				if err := noCacheHolds(x); err != nil {
					t.Fatalf("%d %q %q: %v", status, cc, other, err)
				}
				if got := joined(&x.Resp.Header, "Cache-Control"); got != shareable {
					t.Fatalf("%d %q: the shareable part now says %q", status, cc, got)
				}
			}
		}
	}
	if leaks < cases/10 {
		t.Errorf("the judge would store %d of %d unmarked answers: it judges nothing", leaks, cases)
	}
}

func noCacheHolds(x *h1.Exchange) error {
	lines := sent(x)
	cc := fieldValues(lines, "Cache-Control")
	d := directivesOf(cc)
	switch {
	case len(fieldValues(lines, "Set-Cookie")) == 0:
		return fmt.Errorf("no cookie: %q", lines)
	case len(cc) != 1:
		return fmt.Errorf("%d Cache-Control lines: %q", len(cc), lines)
	case !slices.Contains(d, "private") && !slices.Contains(d, "no-store"):
		return fmt.Errorf("neither private nor no-store: %q", lines)
	case slices.ContainsFunc(d, func(s string) bool {
		name, _, arg := strings.Cut(s, "=")
		return name == "public" || name == "s-maxage" || name == "private" && arg
	}):
		return fmt.Errorf("contradicts itself: %q", lines)
	case mayStore(x.Resp.Status, lines):
		return fmt.Errorf("may be stored: %q", lines)
	}
	return nil
}

func TestNoCacheKeepsWhatIsHarmless(t *testing.T) {
	tests := []struct {
		in   []string
		want string
	}{
		{nil, "private"},
		{[]string{"public, max-age=60"}, "private, max-age=60"},
		{[]string{"max-age=60, must-revalidate"}, "private, max-age=60, must-revalidate"},
		{[]string{`no-cache="Set-Cookie"`}, `private, no-cache="Set-Cookie"`},
		{[]string{"Private"}, "Private"},
		{[]string{"no-store"}, "no-store"},
		{[]string{"max-age=60, private, public"}, "max-age=60, private"},
		{[]string{"max-age=0, s-maxage=60"}, "private, max-age=0"},
		{[]string{"public"}, "private"},
		{[]string{"max-age=5", "private"}, "max-age=5, private"},
		{[]string{"no-store, must-understand"}, "private, no-store, must-understand"},
		{[]string{`private="set-cookie", max-age=5`}, "private, max-age=5"},
		{[]string{`max-age=5, x="unterminated`}, "private"},
		{[]string{`x="unterminated, NO-STORE`}, "private, no-store"},
		{[]string{"no-store", `x="`}, "private, no-store"},
		{[]string{"max-age=5; public"}, "private"},
		{[]string{`x="public, s-maxage=1", max-age=5`}, `private, x="public, s-maxage=1", max-age=5`},
	}
	p := newPersistence(plainCookie(Insert), []string{"A"}, nil)
	for _, tt := range tests {
		x := ask()
		for _, v := range tt.in {
			x.Resp.Header.AddString("Cache-Control", v)
		}
		p.mark(x, claim{server: -1}, 0, 1e9)
		if got := strings.Join(fieldValues(sent(x), "Cache-Control"), " | "); got != tt.want {
			t.Errorf("%q goes out as %q, want %q", tt.in, got, tt.want)
		}
	}
}

// AT-3.2: where no cookie is inserted, or nocache is off, nothing changes.
func TestNoCacheOnlyWithAnInsertedCookie(t *testing.T) {
	off := plainCookie(Insert)
	off.NoCache = false
	tests := []struct {
		name  string
		c     *Cookie
		claim int
	}{
		{"a holder", plainCookie(Insert), 0},
		{"nocache off", off, -1},
		{"prefix", &Cookie{Name: "SERVERID", Mode: Prefix, NoCache: true}, -1},
	}
	for _, tt := range tests {
		x := ask()
		x.Resp.Header.AddString("Cache-Control", "public, max-age=60")
		x.Resp.Header.AddString("Acme-Cache-Control", "max-age=60")
		newPersistence(tt.c, []string{"A"}, nil).mark(x, claim{server: tt.claim}, 0, 1e9)
		if x.Own.Has(h1.CacheControl) || joined(&x.Resp.Header, "Cache-Control") != "public, max-age=60" || joined(&x.Resp.Header, "Acme-Cache-Control") == "" {
			t.Errorf("%s: %q", tt.name, sent(x))
		}
	}
}

func FuzzNoCache(f *testing.F) {
	for _, cc := range cacheControls {
		f.Add(strings.Join(cc, "\n"))
	}
	p := newPersistence(plainCookie(Insert), []string{"A"}, nil)
	f.Fuzz(func(t *testing.T, s string) {
		if strings.ContainsAny(s, "\r\x00") {
			return
		}
		x := ask()
		for l := range strings.SplitSeq(s, "\n") {
			x.Resp.Header.AddString("Cache-Control", strings.Trim(l, " \t"))
		}
		p.mark(x, claim{server: -1}, 0, 1e9)
		if err := noCacheHolds(x); err != nil {
			t.Fatalf("%q: %v", s, err)
		}
	})
}
