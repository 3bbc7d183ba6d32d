package frontend

import (
	"strings"
	"testing"

	"gatehouse/backend/h1"
	"gatehouse/backend/loop"
)

// TestChallengesComeFirst: a CA gets its answer whatever the frontend serves; every other request goes its way.
func TestChallengesComeFirst(t *testing.T) {
	var asked []string
	next := func(x *h1.Exchange) error { return says("from the server")(x) }
	inStand(t, &Config{Name: "www", Hosts: []string{"www.test"}}, next, func(s *stand) {
		s.f.o.Challenge = func(l *loop.Loop, host, path string) (string, bool) {
			asked = append(asked, host+" "+path)
			l.Block(func() {}) // the storage is looked at
			return "token.key", strings.HasSuffix(path, "/token")
		}
		for _, x := range []struct {
			request string
			status  string
			body    string
			asked   string // host and path
		}{
			{"GET /.well-known/acme-challenge/token HTTP/1.1\r\nHost: www.test\r\n\r\n", "200", "token.key", "www.test /.well-known/acme-challenge/token"},
			{"GET /.well-known/acme-challenge/token?x HTTP/1.1\r\nHost: Other.test:80\r\n\r\n", "200", "token.key", "Other.test /.well-known/acme-challenge/token"},
			{"GET /.well-known/acme-challenge/mine HTTP/1.1\r\nHost: www.test\r\n\r\n", "200", "from the server", "www.test /.well-known/acme-challenge/mine"},
			{"GET /.well-known/acme-challenge/mine HTTP/1.1\r\nHost: other.test\r\n\r\n", "421", "", "other.test /.well-known/acme-challenge/mine"},
			{"HEAD /.well-known/acme-challenge/token HTTP/1.1\r\nHost: other.test\r\n\r\n", "421", "", ""},
			{"POST /.well-known/acme-challenge/token HTTP/1.1\r\nHost: www.test\r\nContent-Length: 0\r\n\r\n", "200", "from the server", ""},
			{"GET /.well-known/acme-challenges HTTP/1.1\r\nHost: www.test\r\n\r\n", "200", "from the server", ""},
		} {
			asked = nil
			c := s.client()
			c.Write([]byte(x.request))
			got, _ := read(c)
			c.Close()
			if !strings.HasPrefix(got, "HTTP/1.1 "+x.status+" ") || !strings.HasSuffix(got, x.body) || strings.Join(asked, ",") != x.asked {
				t.Errorf("%q\n got %q\nasked %q", x.request, got, asked)
			}
			if x.body == "token.key" && (!strings.Contains(got, "Content-Length: 9\r\n") || !strings.Contains(got, "Cache-Control: no-store\r\n")) {
				t.Errorf("%q", got)
			}
		}
	})
}

// TestChallengesOfRedirects: the address that leads to https is where a CA asks.
func TestChallengesOfRedirects(t *testing.T) {
	inStand(t, &Config{Name: "www"}, nil, func(s *stand) {
		s.f.o.Challenge = func(_ *loop.Loop, _, path string) (string, bool) { return "key", strings.HasSuffix(path, "/token") }
		v := *s.n.view.Load()
		v.Entries = []Entry{{Frontend: s.f, Redirect: true}}
		s.n.view.Store(&v)
		for path, want := range map[string]string{"token": "HTTP/1.1 200 ", "other": "HTTP/1.1 301 "} {
			c := s.client()
			c.Write([]byte("GET /.well-known/acme-challenge/" + path + " HTTP/1.1\r\nHost: a\r\n\r\n"))
			if got, _ := read(c); !strings.HasPrefix(got, want) {
				t.Errorf("%s: %q", path, got)
			}
			c.Close()
		}
	})
}
