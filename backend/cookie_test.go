package backend

import (
	"strings"
	"testing"
	"time"

	"gatehouse/backend/h1"
)

// ask makes an exchange with these Cookie lines.
func ask(cookies ...string) *h1.Exchange {
	x := new(h1.Exchange)
	x.Note.Reset()
	x.Req.Method = []byte("GET")
	for _, c := range cookies {
		x.Req.Header.AddString("Cookie", c)
	}
	x.Resp.Status = 200
	return x
}

// lines returns the lines of a name as they would go out.
func lines(h *h1.Header, name string) (out []string) {
	for l := range strings.Lines(string(h.AppendTo(nil))) {
		if v, ok := strings.CutPrefix(l, name+": "); ok {
			out = append(out, strings.TrimSuffix(v, "\r\n"))
		}
	}
	return out
}

func joined(h *h1.Header, name string) string { return strings.Join(lines(h, name), " | ") }

// plainCookie has no attributes but the path, which keeps the tables short.
func plainCookie(mode CookieMode) *Cookie {
	c := &Cookie{Name: "SERVERID", Mode: mode, SameSite: None}
	c.Indirect, c.NoCache = mode == Insert, mode == Insert
	return c
}

var allOpen = []standing{open, open, open}

func TestCookieDates(t *testing.T) {
	const now = 1_000_000_000
	at := func(unix int64) string { return string(appendDate(nil, dateOf(unix))) }
	const idle, life = 1800, 28800
	tests := []struct {
		name       string
		value      string
		idle, life int
		flag       byte
		out        string // the value of the cookie sent back
		outFlag    byte
	}{
		{"both fresh", "A|" + at(now) + "|" + at(now-100), idle, life, 'V', "", 'N'},
		{"last seen before", "A|" + at(now-8) + "|" + at(now-100), idle, life, 'V', "A|" + at(now) + "|" + at(now-100), 'U'},
		{"idle too long", "A|" + at(now-idle-4) + "|" + at(now-idle-4), idle, life, 'E', "A|" + at(now) + "|" + at(now), 'I'},
		{"idle just not too long", "A|" + at(now-idle) + "|" + at(now-idle), idle, life, 'V', "A|" + at(now) + "|" + at(now-idle), 'U'},
		{"too old", "A|" + at(now) + "|" + at(now-life-4), idle, life, 'O', "A|" + at(now) + "|" + at(now), 'I'},
		{"too old and idle", "A|" + at(1) + "|" + at(1), idle, life, 'O', "A|" + at(now) + "|" + at(now), 'I'},
		{"last from the far future", "A|" + at(now+90000), idle, 0, 'E', "A|" + at(now), 'I'},
		{"first from the far future", "A|" + at(now) + "|" + at(now+90000), 0, life, 'O', "A|" + at(now) + "|" + at(now), 'I'},
		{"from the near future", "A|" + at(now+80000), idle, 0, 'V', "", 'N'},
		{"undated is taken and dated", "A", idle, life, 'V', "A|" + at(now) + "|" + at(now), 'U'},
		{"garbage is no date", "A|garbage|garbage", idle, life, 'V', "A|" + at(now) + "|" + at(now), 'U'},
		{"short garbage", "A|!!!!!|x", idle, life, 'V', "A|" + at(now) + "|" + at(now), 'U'},
		{"no first date", "A|" + at(now), idle, life, 'V', "A|" + at(now) + "|" + at(now), 'U'},
		{"a first date nobody wants", "A|" + at(now) + "|" + at(now), idle, 0, 'V', "A|" + at(now), 'U'},
		{"idle alone", "A|" + at(now-100), idle, 0, 'V', "A|" + at(now), 'U'},
		{"life alone has a last date too", "A|" + at(now-100) + "|" + at(now-100), 0, life, 'V', "A|" + at(now) + "|" + at(now-100), 'U'},
		{"dates without limits are dropped", "A|" + at(now-100) + "|" + at(now-100), 0, 0, 'V', "A", 'U'},
		{"down: life counts on", "B|" + at(now-100) + "|" + at(now-100), idle, life, 'D', "A|" + at(now) + "|" + at(now-100), 'I'},
		{"unknown", "Z|" + at(now-100) + "|" + at(now-100), idle, life, 'I', "A|" + at(now) + "|" + at(now), 'I'},
	}
	for _, tt := range tests {
		c := plainCookie(Insert)
		c.MaxIdle, c.MaxLife = time.Duration(tt.idle)*time.Second, time.Duration(tt.life)*time.Second
		p := newPersistence(c, []string{"A", "B"}, nil)
		x := ask("SERVERID=" + tt.value)
		cl := p.claim(x, []standing{open, shut}, now)
		if x.Note.CookieIn != tt.flag {
			t.Errorf("%s: flag %c, want %c", tt.name, x.Note.CookieIn, tt.flag)
		}
		p.mark(x, cl, 0, now)
		want := ""
		if tt.out != "" {
			want = "SERVERID=" + tt.out + "; path=/"
		}
		if got := joined(&x.Own, "Set-Cookie"); got != want {
			t.Errorf("%s: sent back %q, want %q", tt.name, got, want)
		}
		if x.Note.CookieOut != tt.outFlag {
			t.Errorf("%s: out flag %c, want %c", tt.name, x.Note.CookieOut, tt.outFlag)
		}
	}
}

func TestDateIsThirtyBitsInFiveDigits(t *testing.T) {
	tests := []struct {
		unix int64
		text string
	}{
		{0, "AAAAA"}, {1, "AAAAB"}, {4, "AAAAB"}, {5, "AAAAC"}, {63 * 4, "AAAA/"}, {64 * 4, "AAABA"}, {4 << 24, "BAAAA"},
	}
	for _, tt := range tests {
		if got := string(appendDate(nil, dateOf(tt.unix))); got != tt.text {
			t.Errorf("%d is %s, want %s", tt.unix, got, tt.text)
		}
		if got := parseDate([]byte(tt.text)); got != dateOf(tt.unix) {
			t.Errorf("%s reads as %d, want %d", tt.text, got, dateOf(tt.unix))
		}
	}
}

func TestSubSecondLimitsAreNotUnlimited(t *testing.T) {
	if got := seconds(time.Millisecond); got != 1 {
		t.Errorf("1 ms is %d s", got)
	}
}

// One request of a newcomer and one of a holder: the cookie costs no memory.
func TestCookieAllocatesNothing(t *testing.T) {
	dated := plainCookie(Insert)
	dated.MaxIdle, dated.MaxLife = time.Hour, time.Hour
	prefix := plainCookie(Prefix)
	signed, _, _ := signedCookie(Insert)
	tests := []struct {
		name string
		c    *Cookie
	}{{"insert", plainCookie(Insert)}, {"dated", dated}, {"prefix", prefix}, {"signed", signed}}
	for _, tt := range tests {
		p := newPersistence(tt.c, []string{"A", "B", "C"}, nil)
		x := ask()
		now := int64(1e9)
		one := func() { p.exchange(x, now); now += 5 }
		one()
		if n := testing.AllocsPerRun(100, one); n != 0 {
			t.Errorf("%s: %v allocations", tt.name, n)
		}
	}
}

// exchange plays one request and its answer, and reuses x.
func (p *persistence) exchange(x *h1.Exchange, now int64) {
	for _, cookie := range []string{"a=1; SERVERID=A; b=2", "a=1; SERVERID=A~1; b=2", "a=1"} {
		x.Reset()
		x.Resp.Status = 200
		x.Req.Header.AddString("Cookie", cookie)
		c := p.claim(x, allOpen, now)
		x.Resp.Header.AddString("Cache-Control", "public, max-age=60")
		x.Resp.Header.AddString("Set-Cookie", "SERVERID=x; path=/")
		p.mark(x, c, max(c.server, 0), now)
	}
}

func BenchmarkCookieClaimHolder(b *testing.B) {
	p := newPersistence(plainCookie(Insert), []string{"A", "B", "C"}, nil)
	x := ask()
	b.ReportAllocs()
	for b.Loop() {
		x.Req.Header.Reset()
		x.Req.Header.AddString("Cookie", "session=0123456789abcdef; SERVERID=B; theme=dark")
		p.claim(x, allOpen, 1e9)
	}
}

func BenchmarkCookieMarkNewcomer(b *testing.B) {
	p := newPersistence(plainCookie(Insert), []string{"A", "B", "C"}, nil)
	x := ask()
	x.Resp.Header.AddString("Cache-Control", "public, max-age=60")
	b.ReportAllocs()
	for b.Loop() {
		x.Own.Reset()
		p.mark(x, claim{server: -1}, 1, 1e9)
	}
}
