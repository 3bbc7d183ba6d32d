package cache

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/backend/h1"
)

// RFC 9111 4.1.
func TestVary(t *testing.T) {
	for _, c := range []struct {
		vary, stored, asked string
		hit                 bool
	}{
		{"X", "X: 1", "X: 1", true},
		{"x", "X: 1", "x: 1", true},
		{"X", "X: 1", "X: 2", false},
		{"X", "X: 1", "", false},
		{"X", "", "X: 1", false},
		{"X", "", "X:", false},
		{"X", "", "Y: 1", true},
		{"X, Y", "X: 1\nY: 2", "Y: 2\nX: 1", true},
		{"X, Y", "X: 1\nY: 2", "X: 1\nY: 3", false},
		{"X,, x", "X: 1", "X: 1", true},
		{"X", "X: 1, 2", "X: 1\nX: 2", true},
		{"X", "X: 1,2", "X: 1 , 2", true},
		{"X", "X: 2, 1", "X: 1, 2", false},
		{"X", "X: a b", "X: ab", false},
		{"X", "X: a  b", "X: a b", false},
		{"X", `X: "a, b"`, `X: "a,b"`, false},
		{"X", "X: a", "X: A", false},
		{"Accept-Language", "Accept-Language: en-US, de", "Accept-Language: EN-us,de", true},
		{"Accept-Language", "Accept-Language: en, de", "Accept-Language: de, en", false},
		{"Accept-Encoding", "Accept-Encoding: gzip, br", "Accept-Encoding: br;q=0.1,  GZIP", true},
		{"Accept-Encoding", "Accept-Encoding: gzip, br", "Accept-Encoding: gzip", false},
		{"Accept-Encoding", "Accept-Encoding: gzip, br", "Accept-Encoding: gzip, br;q=0.000", false},
		{"Accept-Encoding", "Accept-Encoding: gzip, br, zstd", "Accept-Encoding: *", true},
		{"Accept-Encoding", "Accept-Encoding: gzip", "Accept-Encoding: x-gzip, deflate", true},
		{"Accept-Encoding", "", "Accept-Encoding: identity", true},
		{"Cookie", "Cookie: a=1", "Cookie: a=1", true},
		{"Cookie", "Cookie: a=1", "Cookie: a=2", false},
		{"Cookie", "Cookie: a=1", "", false},
		{"Authorization", "Authorization: x", "Authorization: y", false},
	} {
		bubble(t, 1, nil, func(r *rig) {
			r.answers("HTTP/1.1 200 OK\nCache-Control: max-age=60, public\nVary: " + c.vary + "\n\nhello")
			r.get("/page\n" + c.stored)
			a := r.get("/page\n" + c.asked)
			if a.hit() != c.hit {
				t.Errorf("Vary: %s, stored for %q, asked with %q: %s, want hit %v", c.vary, c.stored, c.asked, a.verdict(), c.hit)
			}
			if !c.hit && !strings.HasPrefix(a.verdict(), "fwd=vary-miss") {
				t.Errorf("Vary: %s: %s, want vary-miss", c.vary, a.verdict())
			}
		})
	}
}

func TestVariantsAreKeptSideBySide(t *testing.T) {
	bubble(t, 1, nil, func(r *rig) {
		r.origins(func(x *h1.Exchange) error {
			v := x.Req.Header.GetName("X")
			return reply(x, "HTTP/1.1 200 OK\nCache-Control: max-age=60\nVary: X\n\n"+string(v))
		})
		for i := range maxVariants {
			r.get(fmt.Sprintf("/page\nX: %d", i))
		}
		for i := range maxVariants {
			want := fmt.Sprint(i)
			if a := r.get("/page\nX: " + want); !a.hit() || a.body != want {
				t.Errorf("X: %s: %s %q", want, a.verdict(), a.body)
			}
		}
		r.get("/page\nX: one more")
		if a := r.get("/page\nX: 0"); a.hit() {
			t.Error("the oldest is still there")
		}
		r.do(request{text: "POST /page"})
		for i := range maxVariants {
			if a := r.get(fmt.Sprintf("/page\nX: %d\nCache-Control: only-if-cached", i)); a.hit() {
				t.Errorf("X: %d outlived a POST", i)
			}
		}
	})
}

// An answer in the language that a request likes best of all is the right one, whatever else it says.
func TestLanguages(t *testing.T) {
	for _, c := range []struct {
		asked string
		hit   bool
	}{
		{"en, de", true},
		{"EN,de", true},
		{"de", true},
		{"fr;q=0.5, de;q=1.0", true},
		{"de;q=0.3, fr;q=0.299", true},
		{"DE; Q=1", true},
		{"de, en", false}, // both alike
		{"fr, de;q=0.9", false},
		{"de-AT", false},
		{"de;q=2", false},
		{"de;level=1", false},
		{"*", false},
		{"", false},
	} {
		bubble(t, 1, nil, func(r *rig) {
			r.answers("HTTP/1.1 200 OK\nCache-Control: max-age=60\nVary: Accept-Language\nContent-Language: de\n\nhallo")
			r.get("/page\nAccept-Language: en, de")
			if a := r.get("/page\nAccept-Language: " + c.asked); a.hit() != c.hit {
				t.Errorf("%q: %s", c.asked, a.verdict())
			}
		})
	}
}

// FuzzVary: normalising twice changes nothing, and never makes a value out of none.
func FuzzVary(f *testing.F) {
	for _, s := range []string{"", "a, b", `"a , b"`, `a\, b`, ` , ,`, "gzip;q=0, br", "*", `"`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if strings.ContainsAny(s, "\r\n") {
			t.Skip()
		}
		for _, name := range []string{"X", "Accept-Language"} {
			sel := selector{name: name}
			once := sel.appendValue(nil, headerOf(name, s), "")
			if once[0] != '+' {
				t.Errorf("%q is taken for an absent field", s)
			}
			twice := sel.appendValue(nil, headerOf(name, string(once[1:])), "")
			if string(once) != string(twice) {
				t.Errorf("%q becomes %q and then %q", s, once, twice)
			}
		}
		codingsOf(headerOf("Accept-Encoding", s))
		if w, ok := weight([]byte(s)); w < 0 || ok && w > 1000 {
			t.Errorf("%q has the weight %d", s, w)
		}
	})
}

// The balancer's cookie is none that the server sees: answers for all other cookies alike are answers for this client too. Where it is not sure what the
// server sees of them, they have to be the very same.
func TestVaryByCookieButTheHiddenOne(t *testing.T) {
	for _, c := range []struct {
		stored, asked string
		hit           bool
	}{
		{"S=A", "", true},
		{"", "S=A", true},
		{"S=A", "S=B", true},
		{"S=A; id=1", "id=1; S=B", true},
		{"S=A; id=1", "id=1", true},
		{"id=1;S = B ;x=2", "id=1; x=2", true},
		{"S=A; id=1", "id=2; S=A", false},
		{"S=A; id=1", "S=A", false},
		{"S=A", "s=A", false},
		{"S=A", "S", false}, // that is no cookie of the name
		{"id=1\nCookie: S=A", "id=1", true},
		{"id=1; x=2", "id=1\nCookie: x=2", true}, // RFC 9113 8.2.3
		{`x="a; S=1"`, `x="a; S=2"`, false},
		{"x=1, S=1", "x=1, S=2", false},
		{"$Version=1; S=1", "$Version=1; S=2", false},
		{`x="a"; S=1`, `x="a"; S=1`, true},
	} {
		bubble(t, 1, nil, func(r *rig) {
			r.cache.o.Hidden = "S"
			line := func(cookies string) string {
				if cookies == "" {
					return ""
				}
				return "\nCookie: " + cookies
			}
			r.answers("HTTP/1.1 200 OK\nCache-Control: max-age=60\nVary: Cookie\n\nhello")
			r.get("/page" + line(c.stored))
			if a := r.get("/page" + line(c.asked)); a.hit() != c.hit {
				t.Errorf("stored for %q, asked with %q: %s, want hit %v", c.stored, c.asked, a.verdict(), c.hit)
			}
		})
	}
}

// What was made for those without cookies is fetched anew in the background for all of them.
func TestWhatNoCookieSelectedIsFetchedInTheBackground(t *testing.T) {
	bubble(t, 1, nil, func(r *rig) {
		r.cache.o.Hidden = "S"
		n := 0
		r.origins(func(x *h1.Exchange) error {
			n++
			return reply(x, fmt.Sprintf("HTTP/1.1 200 OK\nCache-Control: max-age=2, stale-while-revalidate=60\nVary: Cookie\n\n%d", n))
		})
		r.get("/page\nCookie: S=A")
		sleep(3 * time.Second)
		if a := r.get("/page\nCookie: S=B"); !a.hit() || a.body != "1" {
			t.Errorf("%s %q", a.verdict(), a.body)
		}
		synctest.Wait()
		if a := r.get("/page"); !a.hit() || a.body != "2" {
			t.Errorf("then %s %q", a.verdict(), a.body)
		}
	})
}
