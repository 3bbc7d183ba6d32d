package backend

import (
	"strings"
	"testing"
	"time"
)

// signedCookie returns a signed one of that mode, and the values it has for servers A and B.
func signedCookie(mode CookieMode) (c *Cookie, a, b string) {
	c = plainCookie(mode)
	c.Signed, c.Secret = true, "a secret of sixteen or more"
	return c, seal([]byte(c.Secret), c.Name, "A"), seal([]byte(c.Secret), c.Name, "B")
}

// The value is what any implementation of RFC 2104 makes of it, so that it stays the same over versions: printf 'SERVERID\0A' |
// openssl dgst -sha256 -hmac "a secret of sixteen or more" -binary | head -c 16 | base64.
func TestSignedCookieIsAnHMAC(t *testing.T) {
	_, a, _ := signedCookie(Insert)
	if want := "bMany3BQhjEj7dF0FxkqEg"; a != want {
		t.Errorf("the value is %q, want %q", a, want)
	}
}

func TestSignedCookieIsTheKeysAndTheNames(t *testing.T) {
	key := []byte("0123456789abcdef")
	seen := map[string]string{}
	for _, v := range []struct{ key, name, value string }{
		{string(key), "SERVERID", "A"}, {string(key), "SERVERID", "B"}, {string(key), "SITE", "A"}, {"fedcba9876543210", "SERVERID", "A"},
	} {
		s := seal([]byte(v.key), v.name, v.value)
		if strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" || len(s) != 22 {
			t.Errorf("%q cannot stand in a cookie", s)
		}
		if was, ok := seen[s]; ok {
			t.Errorf("%v has the value of %s", v, was)
		}
		seen[s] = v.name + "=" + v.value
	}
	if s := seal(key, "SERVERID", ""); s != "" {
		t.Errorf("a server without a value got %q: its holders are to lose their cookie", s)
	}
}

// A client comes back by what it was given, and by nothing it makes up.
func TestSignedCookieCannotBeChosen(t *testing.T) {
	for _, mode := range []CookieMode{Insert, Prefix, Rewrite} {
		c, a, b := signedCookie(mode)
		end := ""
		if mode == Prefix {
			end = "~1"
		}
		p := newPersistence(c, []string{"A", "B", "A"}, nil)
		for _, tt := range []struct {
			value  string
			server int
			flag   byte
		}{
			{a, 0, 'V'}, {b, 1, 'V'}, {"A", -1, 'I'}, {"B", -1, 'I'}, {a[:21], -1, 'I'}, {a + "A", -1, 'I'}, {strings.ToLower(a), -1, 'I'}, {"", -1, 'I'},
		} {
			x := ask("SERVERID=" + tt.value + end)
			if got := p.claim(x, allOpen, 1e9); got.server != tt.server || x.Note.CookieIn != tt.flag {
				t.Errorf("%v, %q: server %d flag %c, want %d %c", mode, tt.value, got.server, x.Note.CookieIn, tt.server, tt.flag)
			}
		}
	}
}

func TestSignedCookieIsSent(t *testing.T) {
	for _, tt := range []struct {
		mode CookieMode
		app  string // Set-Cookie of the server
		want func(b string) string
	}{
		{Insert, "", func(b string) string { return "SERVERID=" + b + "; path=/" }},
		{Prefix, "SERVERID=123; Path=/x", func(b string) string { return "SERVERID=" + b + "~123; Path=/x" }},
		{Rewrite, "SERVERID=123; Path=/x", func(b string) string { return "SERVERID=" + b + "; Path=/x" }},
	} {
		c, _, b := signedCookie(tt.mode)
		p := newPersistence(c, []string{"A", "B"}, nil)
		x := ask()
		if tt.app != "" {
			x.Resp.Header.AddString("Set-Cookie", tt.app)
		}
		p.mark(x, p.claim(x, allOpen, 1e9), 1, 1e9)
		if got := joined(&x.Own, "Set-Cookie") + joined(&x.Resp.Header, "Set-Cookie"); got != tt.want(b) {
			t.Errorf("%v: sent %q, want %q", tt.mode, got, tt.want(b))
		}
	}
}

func TestSignedCookieWithDates(t *testing.T) {
	c, _, b := signedCookie(Insert)
	c.MaxIdle = time.Hour
	p := newPersistence(c, []string{"A", "B"}, nil)
	const now = 1_000_000_000
	x := ask()
	p.mark(x, p.claim(x, allOpen, now), 1, now)
	value := b + "|" + string(appendDate(nil, dateOf(now)))
	if got, want := joined(&x.Own, "Set-Cookie"), "SERVERID="+value+"; path=/"; got != want {
		t.Fatalf("sent %q, want %q", got, want)
	}
	if got := p.claim(ask("SERVERID="+value), allOpen, now+60); got.server != 1 {
		t.Errorf("came back to server %d, want 1", got.server)
	}
	if got := p.claim(ask("SERVERID="+value), allOpen, now+7200); got.server != -1 {
		t.Errorf("came back to server %d after two hours, want none", got.server)
	}
}

// Without a secret it is the key of the process that signs.
func TestSignedCookieWithoutSecret(t *testing.T) {
	c, a, _ := signedCookie(Insert)
	c.Secret = ""
	p := newPersistence(c, []string{"A", "B"}, []byte("a secret of sixteen or more"))
	if got := p.claim(ask("SERVERID="+a), allOpen, 1e9); got.server != 0 {
		t.Errorf("server %d, want 0", got.server)
	}
}
