package backend

import (
	"strings"
	"testing"
	"time"
)

func TestCookieInsertedOnce(t *testing.T) {
	p := newPersistence(plainCookie(Insert), []string{"A", "B", "C"}, nil)

	x := ask()
	c := p.claim(x, allOpen, 1e9)
	p.mark(x, c, 0, 1e9)
	if got := joined(&x.Own, "Set-Cookie"); got != "SERVERID=A; path=/" {
		t.Errorf("a newcomer gets %q", got)
	}
	if x.Resp.Header.Len() != 0 {
		t.Errorf("the shareable part has %q", x.Resp.Header.AppendTo(nil))
	}
	if x.Note.CookieIn != 'N' || x.Note.CookieOut != 'I' {
		t.Errorf("flags %c%c, want NI", x.Note.CookieIn, x.Note.CookieOut)
	}

	x = ask("SERVERID=A")
	c = p.claim(x, allOpen, 1e9)
	p.mark(x, c, 0, 1e9)
	if x.Own.Len() != 0 || x.Note.CookieOut != 'N' {
		t.Errorf("a holder gets %q, flag %c", x.Own.AppendTo(nil), x.Note.CookieOut)
	}
}

func TestCookieAttributes(t *testing.T) {
	tests := []struct {
		name   string
		c      Cookie
		secure bool
		want   string
	}{
		{"the defaults in the clear", Cookie{HTTPOnly: true}, false, "; path=/; HttpOnly; SameSite=Lax"},
		{"the defaults on TLS", Cookie{HTTPOnly: true}, true, "; path=/; HttpOnly; Secure; SameSite=Lax"},
		{"secure always", Cookie{Secure: new(true)}, false, "; path=/; Secure; SameSite=Lax"},
		{"secure never", Cookie{Secure: new(false)}, true, "; path=/; SameSite=Lax"},
		{"domains", Cookie{Domain: []string{"a.example", "b.example"}, SameSite: Strict}, false, "; path=/; domain=a.example; domain=b.example; SameSite=Strict"},
		{"same_site none on TLS", Cookie{SameSite: None}, true, "; path=/; Secure; SameSite=None"},
		{"same_site none in the clear would lose the cookie", Cookie{SameSite: None}, false, "; path=/"},
		{"everything", Cookie{Domain: []string{"a.example"}, HTTPOnly: true, SameSite: Lax}, true, "; path=/; domain=a.example; HttpOnly; Secure; SameSite=Lax"},
	}
	for _, tt := range tests {
		tt.c.Name = "SERVERID"
		p := newPersistence(&tt.c, []string{"A", ""}, nil)
		x := ask()
		x.Req.Secure = tt.secure
		p.mark(x, claim{server: -1}, 0, 1e9)
		if got := joined(&x.Own, "Set-Cookie"); got != "SERVERID=A"+tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, "SERVERID=A"+tt.want)
		}

		x = ask()
		x.Req.Secure = tt.secure
		p.mark(x, claim{server: -1}, 1, 1e9)
		if got, want := joined(&x.Own, "Set-Cookie"), "SERVERID=; Expires=Thu, 01-Jan-1970 00:00:01 GMT"+tt.want; got != want {
			t.Errorf("%s: deleted by %q, want %q", tt.name, got, want)
		}

		tt.c.MaxIdle = time.Hour
		p = newPersistence(&tt.c, []string{"A", ""}, nil)
		x = ask()
		x.Req.Secure = tt.secure
		p.mark(x, claim{server: -1}, 0, 4)
		if got, want := joined(&x.Own, "Set-Cookie"), "SERVERID=A|AAAAB"+tt.want; got != want {
			t.Errorf("%s: dated %q, want %q", tt.name, got, want)
		}
		x = ask()
		x.Req.Secure = tt.secure
		p.mark(x, claim{server: -1}, 1, 4)
		if got, want := joined(&x.Own, "Set-Cookie"), "SERVERID=; Expires=Thu, 01-Jan-1970 00:00:01 GMT"+tt.want; got != want {
			t.Errorf("%s: dated, deleted by %q, want %q", tt.name, got, want)
		}
	}
}

// A sorry server has no cookie: whoever is there gets rid of the one he has, in every answer.
func TestCookieOfServerWithoutValueIsDeletedEveryTime(t *testing.T) {
	p := newPersistence(plainCookie(Insert), []string{"A", ""}, nil)
	for _, cookie := range []string{"SERVERID=A", "SERVERID=", "a=1"} {
		x := ask(cookie)
		c := p.claim(x, []standing{shut, open}, 1e9)
		p.mark(x, c, 1, 1e9)
		if got := joined(&x.Own, "Set-Cookie"); got != "SERVERID=; Expires=Thu, 01-Jan-1970 00:00:01 GMT; path=/" {
			t.Errorf("%s: %q", cookie, got)
		}
	}
}

func TestCookieOfTheServer(t *testing.T) {
	const held, newcomer = 0, -1 // what the request's cookie came to; server 0, "A", answers
	ins := func(f func(c *Cookie)) *Cookie {
		c := plainCookie(Insert)
		f(c)
		return c
	}
	tests := []struct {
		name  string
		c     *Cookie
		claim int
		in    []string
		out   string // of the server's lines
		own   string
		flag  byte
	}{
		{"insert deletes it", plainCookie(Insert), newcomer, []string{"SERVERID=x; path=/app"}, "", "SERVERID=A; path=/", 'I'},
		{"also from holders", plainCookie(Insert), held, []string{"SERVERID=x; path=/app"}, "", "", 'D'},
		{"and all of them, no others", plainCookie(Insert), held, []string{"a=1; x=SERVERID=2", "SERVERID=x", "b=2", "SERVERID=y"}, "a=1; x=SERVERID=2 | b=2", "", 'D'},
		{"insert without indirect deletes too", ins(func(c *Cookie) { c.Indirect = false }), held, []string{"SERVERID=x"}, "", "", 'D'},
		{"preserve leaves it", ins(func(c *Cookie) { c.Preserve = true }), newcomer, []string{"SERVERID=x; path=/app"}, "SERVERID=x; path=/app", "", 'P'},
		{"preserve inserts where the server does not", ins(func(c *Cookie) { c.Preserve = true }), newcomer, []string{"a=1"}, "a=1", "SERVERID=A; path=/", 'I'},
		{"names are exact", plainCookie(Insert), held, []string{"serverid=x", "SERVERID2=x", "SERVERID; x=1"}, "serverid=x | SERVERID2=x | SERVERID; x=1", "", 'N'},
		{"white space around the name", plainCookie(Insert), held, []string{"SERVERID = x"}, "", "", 'D'},

		{"prefix", plainCookie(Prefix), newcomer, []string{"SERVERID=123; path=/; HttpOnly"}, "SERVERID=A~123; path=/; HttpOnly", "", 'R'},
		{"prefix again, for a holder", plainCookie(Prefix), held, []string{"SERVERID=124"}, "SERVERID=A~124", "", 'R'},
		{"prefix, every line", plainCookie(Prefix), newcomer, []string{"SERVERID=1", "a=1", "SERVERID=2"}, "SERVERID=A~1 | a=1 | SERVERID=A~2", "", 'R'},
		{"prefix, before quotes", plainCookie(Prefix), newcomer, []string{`SERVERID="1;2"; x`}, `SERVERID=A~"1;2"; x`, "", 'R'},
		{"prefix, a deletion", plainCookie(Prefix), newcomer, []string{"SERVERID=; Max-Age=0"}, "SERVERID=A~; Max-Age=0", "", 'R'},
		{"prefix, nothing but the name", plainCookie(Prefix), newcomer, []string{"SERVERID="}, "SERVERID=A~", "", 'R'},
		{"prefix, other bytes stay", plainCookie(Prefix), newcomer, []string{"SERVERID = 1 ;Expires=Thu, 01 Jan 2026 00:00:00 GMT ; \tX"}, "SERVERID = A~1 ;Expires=Thu, 01 Jan 2026 00:00:00 GMT ; \tX", "", 'R'},
		{"prefix sets none by itself", plainCookie(Prefix), newcomer, nil, "", "", 'N'},
		{"prefix indirect: a holder never gets the server's", &Cookie{Name: "SERVERID", Mode: Prefix, Indirect: true}, held, []string{"SERVERID=124"}, "", "", 'D'},

		{"rewrite", plainCookie(Rewrite), newcomer, []string{"SERVERID=x; path=/app; Secure"}, "SERVERID=A; path=/app; Secure", "", 'R'},
		{"rewrite, quoted", plainCookie(Rewrite), newcomer, []string{`SERVERID="x;\"y"; path=/`}, `SERVERID=A; path=/`, "", 'R'},
		{"rewrite, an open quote", plainCookie(Rewrite), newcomer, []string{`SERVERID="x; path=/`}, `SERVERID=A; path=/`, "", 'R'},
		{"rewrite, an open quote at the end", plainCookie(Rewrite), newcomer, []string{`SERVERID="x\`}, `SERVERID=A`, "", 'R'},
		{"rewrite, commas are data", plainCookie(Rewrite), newcomer, []string{"SERVERID=x, SERVERID=y; z"}, "SERVERID=A; z", "", 'R'},
		{"rewrite sets none by itself", plainCookie(Rewrite), newcomer, []string{"a=1"}, "a=1", "", 'N'},

		{"passive", plainCookie(Passive), newcomer, []string{"SERVERID=x"}, "SERVERID=x", "", '-'},
		{"passive indirect, newcomer", &Cookie{Name: "SERVERID", Mode: Passive, Indirect: true}, newcomer, []string{"SERVERID=x"}, "SERVERID=x", "", 'P'},
		{"passive indirect, holder", &Cookie{Name: "SERVERID", Mode: Passive, Indirect: true}, held, []string{"SERVERID=x"}, "", "", 'D'},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			x := ask()
			for _, s := range tt.in {
				x.Resp.Header.AddString("Set-Cookie", s)
			}
			newPersistence(tt.c, []string{"A", "B"}, nil).mark(x, claim{server: tt.claim}, 0, 1e9)
			if got := joined(&x.Resp.Header, "Set-Cookie"); got != tt.out {
				t.Errorf("the server's: %q, want %q", got, tt.out)
			}
			if got := joined(&x.Own, "Set-Cookie"); got != tt.own {
				t.Errorf("ours: %q, want %q", got, tt.own)
			}
			if x.Note.CookieOut != tt.flag {
				t.Errorf("flag %c, want %c", x.Note.CookieOut, tt.flag)
			}
		})
	}
}

// Without a value to write, prefix and rewrite leave the application's cookie alone.
func TestCookieOfServerWithoutValuePasses(t *testing.T) {
	for _, mode := range []CookieMode{Prefix, Rewrite} {
		x := ask()
		x.Resp.Header.AddString("Set-Cookie", "SERVERID=1")
		newPersistence(plainCookie(mode), []string{""}, nil).mark(x, claim{server: -1}, 0, 1e9)
		if got := joined(&x.Resp.Header, "Set-Cookie"); got != "SERVERID=1" || x.Note.CookieOut != 'P' {
			t.Errorf("%v: %q, flag %c", mode, got, x.Note.CookieOut)
		}
	}
}

func TestCookiePostOnly(t *testing.T) {
	c := plainCookie(Insert)
	c.PostOnly = true
	p := newPersistence(c, []string{"A"}, nil)
	for method, want := range map[string]string{"POST": "SERVERID=A; path=/", "GET": "", "post": "", "PUT": ""} {
		x := ask()
		x.Req.Method = []byte(method)
		p.mark(x, claim{server: -1}, 0, 1e9)
		if got := joined(&x.Own, "Set-Cookie"); got != want {
			t.Errorf("%s: %q, want %q", method, got, want)
		}
	}
}

func TestCookieNotOnInterimResponses(t *testing.T) {
	p := newPersistence(plainCookie(Insert), []string{"A"}, nil)
	for status, want := range map[int]string{100: "", 103: "", 101: "SERVERID=A; path=/", 204: "SERVERID=A; path=/", 304: "SERVERID=A; path=/", 500: "SERVERID=A; path=/"} {
		x := ask()
		x.Resp.Status = status
		p.mark(x, claim{server: -1}, 0, 1e9)
		if got := joined(&x.Own, "Set-Cookie"); got != want {
			t.Errorf("%d: %q, want %q", status, got, want)
		}
	}
}

// AT-4.2: the server of the cookie cannot be reached, another one answers: its cookie replaces the first.
func TestCookieAfterRedispatch(t *testing.T) {
	p := newPersistence(plainCookie(Insert), []string{"A", "B", "C"}, nil)
	x := ask("SERVERID=A")
	c := p.claim(x, allOpen, 1e9)
	c.lose(x)
	p.mark(x, c, 1, 1e9)
	if got := joined(&x.Own, "Set-Cookie"); got != "SERVERID=B; path=/" {
		t.Errorf("ours: %q", got)
	}
	if x.Note.CookieIn != 'D' || x.Note.CookieOut != 'I' {
		t.Errorf("flags %c%c, want DI", x.Note.CookieIn, x.Note.CookieOut)
	}
}

// Whatever the claim was, it is the server that answered whose cookie the client needs.
func TestCookieNamesTheServerThatAnswered(t *testing.T) {
	p := newPersistence(plainCookie(Insert), []string{"A", "B"}, nil)
	x := ask("SERVERID=A")
	p.mark(x, p.claim(x, allOpen, 1e9), 1, 1e9)
	if got := joined(&x.Own, "Set-Cookie"); got != "SERVERID=B; path=/" {
		t.Errorf("%q", got)
	}
}

// AT-2.4: two gatehouses of one configuration understand each other's cookies without a word between them.
func TestCookieOfOneNodeIsUnderstoodByAnother(t *testing.T) {
	for _, mode := range []CookieMode{Insert, Prefix, Rewrite} {
		one, two := newPersistence(plainCookie(mode), []string{"A", "B"}, nil), newPersistence(plainCookie(mode), []string{"A", "B"}, nil)
		x := ask()
		x.Resp.Header.AddString("Set-Cookie", "SERVERID=app")
		one.mark(x, claim{server: -1}, 1, 1e9)
		got := append(lines(&x.Resp.Header, "Set-Cookie"), lines(&x.Own, "Set-Cookie")...)
		if len(got) != 1 {
			t.Fatalf("%v: %q", mode, got)
		}
		value, _, _ := strings.Cut(got[0], ";")
		if c := two.claim(ask(value), allOpen, 1e9); c.server != 1 {
			t.Errorf("%v: %q names server %d, want 1", mode, value, c.server)
		}
	}
}

func FuzzSetCookieValue(f *testing.F) {
	for _, s := range []string{"SERVERID=1; path=/", `SERVERID="1;2`, "SERVERID = ", "SERVERID", "SERVERID=", `SERVERID="\`, "a=1; SERVERID=2"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, v []byte) {
		v0, v1, ok := setCookieValue(v, "SERVERID")
		if !ok {
			return
		}
		if v0 > v1 || v1 > len(v) {
			t.Fatalf("%q: value from %d to %d", v, v0, v1)
		}
		// A value ends where attributes begin, or in quotes.
		if rest := v[v1:]; len(rest) > 0 && rest[skipBlank(rest, 0)%len(rest)] != ';' && skipBlank(rest, 0) != len(rest) {
			t.Fatalf("%q: value %q, rest %q", v, v[v0:v1], rest)
		}
	})
}
