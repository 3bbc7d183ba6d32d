package backend

import (
	"bytes"
	"testing"

	"gatehouse/backend/h1"
)

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
	p := newPersistence(plainCookie(Insert), []string{"A", "B", "C"}, nil)
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
	p := newPersistence(plainCookie(Insert), []string{"A", "B", "A", ""}, nil)
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
		c := newPersistence(tt.c, []string{"A", "B"}, nil).claim(x, allOpen, 1e9)
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
	p := newPersistence(plainCookie(Prefix), []string{"A", "B", "C"}, nil)
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
			p := newPersistence(plainCookie(mode), values, nil)
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
