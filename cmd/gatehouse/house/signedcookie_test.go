package house_test

import (
	"strings"
	"testing"
)

// A signed cookie leads its holder back over reloads and restarts; what a client makes up leads nowhere.
func TestSignedCookieLeadsBack(t *testing.T) {
	t.Parallel()
	const signed = "cookie \"S\" { signed = true }\n"
	a, b := namedOrigin(t, "A"), namedOrigin(t, "B")
	s := newLodge(t, web(signed, a, b))
	x := s.client("www").ask(get)
	own := x.Get("Set-Cookie")
	own, _, _ = strings.Cut(own, ";")
	if x.body != "A" || !strings.HasPrefix(own, "S=") || own == "S=A" {
		t.Fatalf("%s answered with the cookie %q", x.body, own)
	}
	back := strings.Replace(holder, "S=A", own, 1)
	same := func(when string) {
		t.Helper()
		if by := s.visits(6, back); by["A"] != 6 {
			t.Errorf("%s: %v", when, by)
		}
	}
	same("at first")
	if by := s.visits(6, holder); by["A"] == 6 || by["B"] == 6 {
		t.Errorf("a client has chosen its server: %v", by)
	}
	s.reload(web(signed+"retries = 2\n", a, b))
	same("after a reload")
	if err := s.end(patience); err != nil {
		t.Fatal(err)
	}
	s.start()
	same("after a restart")
}
