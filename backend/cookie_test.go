package backend

import (
	"bytes"
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

func TestCookieClaimIndirect(t *testing.T) {
	down := []standing{shut, open, open}
	tests := []struct {
		name   string
		in     []string
		st     []standing
		server int
		out    string
		flag   byte
	}{
		{"no cookie", nil, allOpen, -1, "", 'N'},
		{"other cookies only", []string{"a=1; b=2"}, allOpen, -1, "a=1; b=2", 'N'},
		{"alone", []string{"SERVERID=A"}, allOpen, 0, "", 'V'},
		{"second server", []string{"SERVERID=B"}, allOpen, 1, "", 'V'},
		{"in the middle", []string{"a=1; SERVERID=A; c=3"}, allOpen, 0, "a=1; c=3", 'V'},
		{"first", []string{"SERVERID=A; c=3"}, allOpen, 0, "c=3", 'V'},
		{"last", []string{"a=1; SERVERID=A"}, allOpen, 0, "a=1", 'V'},
		{"commas", []string{"a=1,SERVERID=B,c=3"}, allOpen, 1, "a=1,c=3", 'V'},
		{"no space", []string{"a=1;SERVERID=B;c=3"}, allOpen, 1, "a=1;c=3", 'V'},
		{"space before the delimiter", []string{"a=1 ; SERVERID=B ; c=3"}, allOpen, 1, "a=1 ; c=3", 'V'},
		{"space around =", []string{"a = 1; SERVERID = B; c\t=3"}, allOpen, 1, "a=1; c=3", 'V'},
		{"space after = alone", []string{"a= ; SERVERID=B"}, allOpen, 1, "a=", 'V'},
		{"quotes hide delimiters", []string{`a="x; SERVERID=A"; SERVERID=B`}, allOpen, 1, `a="x; SERVERID=A"`, 'V'},
		{"a backslash hides a quote", []string{`a="x\"; SERVERID=A"; SERVERID=B`}, allOpen, 1, `a="x\"; SERVERID=A"`, 'V'},
		{"an open quote takes the rest", []string{`a="x; SERVERID=A`}, allOpen, -1, `a="x; SERVERID=A`, 'N'},
		{"a backslash at the end", []string{`a="\`}, allOpen, -1, `a="\`, 'N'},
		{"several lines", []string{"a=1", "SERVERID=B", "c=3; SERVERID=A"}, allOpen, 1, "a=1 | c=3", 'V'},
		{"names are exact", []string{"serverid=A; SERVERID2=A; XSERVERID=A"}, allOpen, -1, "serverid=A; SERVERID2=A; XSERVERID=A", 'N'},
		{"items without = are kept", []string{"foo; SERVERID=A; SERVERID"}, allOpen, 0, "foo; SERVERID", 'V'},
		{"empty items", []string{"a=1;; SERVERID=A;"}, allOpen, 0, "a=1;;", 'V'},
		{"empty items are not cookies", []string{"; SERVERID=A;;"}, allOpen, 0, "", 'V'},
		{"untouched oddities", []string{"; a=1;;b"}, allOpen, -1, "; a=1;;b", 'N'},
		{"RFC 2109 attributes go with it", []string{`$Version="1"; SERVERID=A; $Path="/"; $Domain=x; c=3; $Path="/c"`}, allOpen, 0, `$Version="1"; c=3; $Path="/c"`, 'V'},
		{"attributes alone are no cookies", []string{`$Version="1"; SERVERID=A; $Path="/"`}, allOpen, 0, "", 'V'},
		{"attributes that came alone", []string{`$Version="1"`}, allOpen, -1, `$Version="1"`, 'N'},

		{"unknown", []string{"SERVERID=ZZ"}, allOpen, -1, "", 'I'},
		{"empty", []string{"SERVERID=; a=1"}, allOpen, -1, "a=1", 'I'},
		{"quoted is another value", []string{`SERVERID="A"`}, allOpen, -1, "", 'I'},
		{"with a tilde", []string{"SERVERID=A~x"}, allOpen, -1, "", 'I'},
		{"case of the value", []string{"SERVERID=a"}, allOpen, -1, "", 'I'},
		{"first usable wins", []string{"SERVERID=ZZ; SERVERID=B; SERVERID=C; a=1"}, allOpen, 1, "a=1", 'V'},
		{"down", []string{"SERVERID=A"}, down, -1, "", 'D'},
		{"down, then usable", []string{"SERVERID=A; SERVERID=B"}, down, 1, "", 'V'},
		{"down, then unknown", []string{"SERVERID=A; SERVERID=ZZ"}, down, -1, "", 'D'},
		{"unknown, then down", []string{"SERVERID=ZZ; SERVERID=A"}, down, -1, "", 'D'},
		{"drained", []string{"SERVERID=A"}, []standing{closing, open, open}, 0, "", 'V'},
		{"failing, holders stay", []string{"SERVERID=A"}, []standing{failing, open, open}, 0, "", 'D'},
	}
	p := newPersistence(plainCookie(Insert), []string{"A", "B", "C"})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			x := ask(tt.in...)
			x.Req.Header.AddString("X-After", "1")
			c := p.claim(x, tt.st, 1e9)
			if c.server != tt.server {
				t.Errorf("server %d, want %d", c.server, tt.server)
			}
			if got := joined(&x.Req.Header, "Cookie"); got != tt.out {
				t.Errorf("the server sees %q, want %q", got, tt.out)
			}
			if x.Note.CookieIn != tt.flag || x.Note.CookieOut != 'N' {
				t.Errorf("flags %c%c, want %cN", x.Note.CookieIn, x.Note.CookieOut, tt.flag)
			}
			if got := joined(&x.Req.Header, "X-After"); got != "1" {
				t.Errorf("the line after is %q", got)
			}
		})
	}
}

// Guide 4.2: servers share a cookie; its holders go to the first of them that is usable, backups included.
func TestCookieSharedByServers(t *testing.T) {
	p := newPersistence(plainCookie(Insert), []string{"A", "B", "A", ""})
	tests := []struct {
		st     []standing
		server int
		flag   byte
	}{
		{[]standing{open, open, open, open}, 0, 'V'},
		{[]standing{closing, open, open, open}, 0, 'V'},
		{[]standing{shut, open, open, open}, 2, 'V'},
		{[]standing{shut, open, failing, open}, 2, 'D'},
		{[]standing{shut, open, shut, open}, -1, 'D'},
	}
	for _, tt := range tests {
		x := ask("SERVERID=A")
		if c := p.claim(x, tt.st, 1e9); c.server != tt.server || x.Note.CookieIn != tt.flag {
			t.Errorf("%v: server %d flag %c, want %d %c", tt.st, c.server, x.Note.CookieIn, tt.server, tt.flag)
		}
	}
	x := ask("SERVERID=")
	if c := p.claim(x, allOpen, 1e9); c.server != -1 {
		t.Errorf("an empty cookie names the server without a value: %d", c.server)
	}
}

func TestCookieSeenByServers(t *testing.T) {
	const in = `a = 1; SERVERID=B; SERVERID=ZZ; c="3"`
	tests := []struct {
		name string
		c    *Cookie
		out  string
		flag string
	}{
		{"insert", &Cookie{Name: "SERVERID", Mode: Insert}, in, "VN"},
		{"insert indirect", &Cookie{Name: "SERVERID", Mode: Insert, Indirect: true}, `a=1; c="3"`, "VN"},
		{"rewrite", &Cookie{Name: "SERVERID", Mode: Rewrite}, in, "VN"},
		{"passive", &Cookie{Name: "SERVERID", Mode: Passive}, in, "--"},
		{"passive indirect", &Cookie{Name: "SERVERID", Mode: Passive, Indirect: true}, in, "VN"},
	}
	for _, tt := range tests {
		x := ask(in)
		c := newPersistence(tt.c, []string{"A", "B"}).claim(x, allOpen, 1e9)
		if c.server != 1 {
			t.Errorf("%s: server %d, want 1", tt.name, c.server)
		}
		if got := joined(&x.Req.Header, "Cookie"); got != tt.out {
			t.Errorf("%s: the server sees %q, want %q", tt.name, got, tt.out)
		}
		if got := string([]byte{x.Note.CookieIn, x.Note.CookieOut}); got != tt.flag {
			t.Errorf("%s: flags %s, want %s", tt.name, got, tt.flag)
		}
	}
}

// Guide 2: the left part selects the server and never reaches it, whatever it says.
func TestCookiePrefixClaim(t *testing.T) {
	tests := []struct {
		in     string
		server int
		out    string
		flag   byte
	}{
		{"SERVERID=A~123", 0, "SERVERID=123", 'V'},
		{"x=1; SERVERID=B~123; y=2", 1, "x=1; SERVERID=123; y=2", 'V'},
		{"SERVERID=A~a~b", 0, "SERVERID=a~b", 'V'},
		{"SERVERID=~x", -1, "SERVERID=x", 'I'},
		{"SERVERID=nope~x", -1, "SERVERID=x", 'I'},
		{"SERVERID=B~", 1, "SERVERID=", 'V'},
		{"SERVERID=A", 0, "SERVERID=A", 'V'},
		{"SERVERID=123", -1, "SERVERID=123", 'I'},
		{"SERVERID=A~1; SERVERID=B~2", 0, "SERVERID=1; SERVERID=2", 'V'},
		{"SERVERID=C~x", -1, "SERVERID=x", 'D'},
		{`SERVERID=A~"x; y"; z=1`, 0, `SERVERID="x; y"; z=1`, 'V'},
		{"SERVERID=A|x~y", -1, "SERVERID=y", 'I'},
		{`$Version=1; SERVERID=A~1; $Path="/"`, 0, `$Version=1; SERVERID=1; $Path="/"`, 'V'},
		{"a=A~1", -1, "a=A~1", 'N'},
	}
	p := newPersistence(plainCookie(Prefix), []string{"A", "B", "C"})
	for _, tt := range tests {
		x := ask(tt.in)
		c := p.claim(x, []standing{open, open, shut}, 1e9)
		if c.server != tt.server || x.Note.CookieIn != tt.flag {
			t.Errorf("%s: server %d flag %c, want %d %c", tt.in, c.server, x.Note.CookieIn, tt.server, tt.flag)
		}
		if got := joined(&x.Req.Header, "Cookie"); got != tt.out {
			t.Errorf("%s: the server sees %q, want %q", tt.in, got, tt.out)
		}
	}
}

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
		p := newPersistence(c, []string{"A", "B"})
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

// FuzzClaim checks that only our cookies are ever touched: every byte of the line that the edit leaves was there before, in
// that order, and nothing of the insert mode's name is left outside of quotes.
func FuzzClaim(f *testing.F) {
	for _, s := range []string{
		"", "SERVERID=A", "a=1; SERVERID=A; c=3", `$Version="1"; SERVERID=A; $Path="/"`, "SERVERID=A~x", ";;,=",
		`a="x; SERVERID=A\"`, "SERVERID = A|AAAAA|AAAAA ; x", "SERVERID=ZZ; SERVERID=B", "a = 1", "SERVERID", "=x;=", `SERVERID="A;b`,
	} {
		f.Add([]byte(s))
	}
	values := []string{"A", "B", "C"}
	f.Fuzz(func(t *testing.T, line []byte) {
		if bytes.ContainsAny(line, "\r\n\x00") {
			return
		}
		line = bytes.Trim(line, " \t") // as the head parser does
		for _, mode := range []CookieMode{Insert, Prefix, Rewrite, Passive} {
			p := newPersistence(plainCookie(mode), values)
			x := ask(string(line))
			c := p.claim(x, allOpen, 1e9)
			if c.server < -1 || c.server > 2 {
				t.Fatalf("server %d", c.server)
			}
			after := x.Req.Header.Get(h1.Cookie)
			if !isSubsequence(after, line) {
				t.Fatalf("%v: %q became %q", mode, line, after)
			}
			if mode > Prefix && !bytes.Equal(after, line) {
				t.Fatalf("%v edited %q to %q", mode, line, after)
			}
			if mode == Insert {
				if got := countCookies(after, "SERVERID"); got != 0 {
					t.Fatalf("%q shows ours: %q", line, after)
				}
				if got, want := countCookies(after, ""), countCookies(line, "")-countCookies(line, "SERVERID"); got != want {
					t.Fatalf("%q became %q: %d other cookies, want %d", line, after, got, want)
				}
			}
			again := ask(string(after))
			if p.claim(again, allOpen, 1e9); mode == Insert && joined(&again.Req.Header, "Cookie") != string(after) {
				t.Fatalf("%q became %q, and that %q", line, after, joined(&again.Req.Header, "Cookie"))
			}
		}
	})
}

// countCookies counts the pairs of a name, or all of them, "$" attributes aside, in the plainest way: it blanks quoted
// text first.
func countCookies(line []byte, name string) (n int) {
	b := bytes.Clone(line)
	value, quoted := false, false
	for i := 0; i < len(b); i++ {
		switch {
		case !quoted && (b[i] == ';' || b[i] == ','):
			value = false
		case b[i] == '=':
			value = true
		case b[i] == '\\' && quoted:
			i++
			if i < len(b) {
				b[i] = '_'
			}
		case b[i] == '"' && value:
			quoted = !quoted
		}
		if quoted && i < len(b) {
			b[i] = '_'
		}
	}
	for _, s := range bytes.FieldsFunc(b, func(r rune) bool { return r == ';' || r == ',' }) {
		k, _, ok := bytes.Cut(s, []byte("="))
		k = bytes.Trim(k, " \t")
		if ok && !bytes.HasPrefix(k, []byte("$")) && (name == "" || string(k) == name) {
			n++
		}
	}
	return n
}

func isSubsequence(a, b []byte) bool {
	for _, c := range b {
		if len(a) > 0 && a[0] == c {
			a = a[1:]
		}
	}
	return len(a) == 0
}

// One request of a newcomer and one of a holder: the cookie costs no memory.
func TestCookieAllocatesNothing(t *testing.T) {
	dated := plainCookie(Insert)
	dated.MaxIdle, dated.MaxLife = time.Hour, time.Hour
	prefix := plainCookie(Prefix)
	tests := []struct {
		name string
		c    *Cookie
	}{{"insert", plainCookie(Insert)}, {"dated", dated}, {"prefix", prefix}}
	for _, tt := range tests {
		p := newPersistence(tt.c, []string{"A", "B", "C"})
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
	p := newPersistence(plainCookie(Insert), []string{"A", "B", "C"})
	x := ask()
	b.ReportAllocs()
	for b.Loop() {
		x.Req.Header.Reset()
		x.Req.Header.AddString("Cookie", "session=0123456789abcdef; SERVERID=B; theme=dark")
		p.claim(x, allOpen, 1e9)
	}
}

func BenchmarkCookieMarkNewcomer(b *testing.B) {
	p := newPersistence(plainCookie(Insert), []string{"A", "B", "C"})
	x := ask()
	x.Resp.Header.AddString("Cache-Control", "public, max-age=60")
	b.ReportAllocs()
	for b.Loop() {
		x.Own.Reset()
		p.mark(x, claim{server: -1}, 1, 1e9)
	}
}
