package examples

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// spell writes steps in one line each, to compare.
func spell(f *flow) string {
	var b strings.Builder
	for _, s := range f.steps {
		fmt.Fprintf(&b, "%d %s|%s|%s", s.line, s.who, s.verb, strings.Join(s.args, ","))
		if s.raw != nil {
			fmt.Fprintf(&b, " %q", s.raw)
		}
		if s.on != "" {
			fmt.Fprintf(&b, " on=%s", s.on)
		}
		if s.within != patience {
			fmt.Fprintf(&b, " within=%v", s.within)
		}
		if s.after != 0 {
			fmt.Fprintf(&b, " after=%v", s.after)
		}
		if s.msg != nil {
			for _, f := range s.msg.fields {
				fmt.Fprintf(&b, " [%s%s=%s]", f.mark, f.name, f.value)
			}
			if s.msg.content != nil {
				fmt.Fprintf(&b, " %q", s.msg.content)
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func TestFlowLines(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", ""},
		{"\n# a name\n\n", ""},
		{"c1 > GET /URI1 HTTP/1.0\n  Cookie: SERVERID=A; b=\"x: y\"\n\t! Host",
			"1 c1|>|GET,/URI1,HTTP/1.0 [Cookie=SERVERID=A; b=\"x: y\"] [!Host=]\n"},
		{"webA < GET /\n  ! Cookie\n  ~ A: ^b$\n  = C: d\n  =~ E: f\n  !~ G: h: i\n  J:",
			"1 webA|<|GET,/ [!Cookie=] [~A=^b$] [=C=d] [=~E=f] [!~G=h: i] [J=]\n"},
		{"webA > 200\n  | one\n  |\n  |  two", "1 webA|>|200 \"one\\n\\n two\"\n"},
		{"c1 < 404 Not Found within 30s", "1 c1|<|404,Not,Found within=30s\n"},
		{"c1 < 503 after 5s", "1 c1|<|503 within=20s after=5s\n"},
		{"c1 < EOF\nc1 > EOF\nwebA < nothing", "1 c1|<|EOF\n2 c1|>|EOF\n3 webA|<|nothing\n"},
		{`c1 >> "GET / HTTP/1.1\r\n\r\n"`, "1 c1|>>|\"GET,/,HTTP/1.1\\r\\n\\r\\n\" \"GET / HTTP/1.1\\r\\n\\r\\n\"\n"},
		{"down webA\nwait 6s\nup webA", "1 |down|webA\n2 |wait|6s\n3 |up|webA\n"},
		{"* < GET /\nit > 200", "1 *|<|GET,/\n2 it|>|200\n"},
		{"webA|webB < GET /", "1 webA|webB|<|GET,/\n"},
		{"c1 tls shop.example.com\nc1 from fd00::1\nc1 new", "1 c1|tls|shop.example.com\n2 c1|from|fd00::1\n3 c1|new|\n"},
		{"each S 200 404\nwebA > $S\nend", "2 webA|>|200\n2 webA|>|404\n"},
		{"each F\n  A: b\n  C: d \\n E: f\n  -\nwebA > 200\n  $F\nend",
			"5 webA|>|200 [A=b]\n5 webA|>|200 [C=d] [E=f]\n5 webA|>|200\n"},
		{"each A 1 2\neach B 3 4\nc$A > GET /$B\nend\nend\nwait 1s",
			"3 c1|>|GET,/3\n3 c1|>|GET,/4\n3 c2|>|GET,/3\n3 c2|>|GET,/4\n6 |wait|1s\n"},
		{"repeat 2\nc1 > GET /$N\nend", "2 c1|>|GET,/1\n2 c1|>|GET,/2\n"},
		{"repeat 9..10\nc1 > GET /$N\nend", "2 c1|>|GET,/9\n2 c1|>|GET,/10\n"},
		{"c1 connect\nlog nothing\nwebA from 10.1.2.1", "1 c1|connect|\n2 |log|nothing\n3 webA|from|10.1.2.1\n"},
		{"house b.hcl\nhouse b.hcl at 192.168.1.3\nstop b.hcl\nstop b.hcl at 192.168.1.3", "1 |house|b.hcl\n2 |house|b.hcl,at,192.168.1.3\n3 |stop|b.hcl\n4 |stop|b.hcl,at,192.168.1.3\n"},
		{"reload b.hcl\nreload b.hcl refused ~ a  b", "1 |reload|b.hcl\n2 |reload|b.hcl,a  b\n"},
		{"server drain webfarm/webA\nserver weight webfarm/webA 3", "1 |server|drain,webfarm/webA\n2 |server|weight,webfarm/webA,3\n"},
		{"cut 10.0.0.0/8 ::/0\nmend", "1 |cut|10.0.0.0/8,::/0\n2 |mend|\n"},
		{"c1 connect refused\nwebA:81 counts 3", "1 c1|connect|refused\n2 webA:81|counts|3\n"},
		{`webA >> "x" on /a`, "1 webA|>>|\"x\",on,/a \"x\" on=/a\n"},
		{`webA << "x" on /a within 3s`, "1 webA|<<|\"x\",on,/a \"x\" on=/a within=3s\n"},
		{"webA checked 5 times in 10s\nwebA checked from ::1", "1 webA|checked|5,times,in,10s\n2 webA|checked|from,::1\n"},
		{"c1 < 200\n  ~ A: x($|;)", "1 c1|<|200 [~A=x($|;)]\n"},
		{"pick ABC x2\nc1 pick 20 same\npick 6 of AB\n  Cookie: x=y", "1 |pick|ABC,x2\n2 c1|pick|20,same\n3 |pick|6,of,AB [Cookie=x=y]\n"},
		{"log ~ a  b$", "1 |log|a  b$,a,b$\n"},
	} {
		f, err := parseFlow("flow", c.text)
		if err != nil {
			t.Errorf("parseFlow(%q): %v", c.text, err)
			continue
		}
		if got := spell(f); got != c.want {
			t.Errorf("parseFlow(%q):\ngot  %swant %s", c.text, got, c.want)
		}
	}
}

func TestFlowStepsKnowTheirNameAndLoop(t *testing.T) {
	f, err := parseFlow("flow", "# one\n# two\neach A x y\nwait 1s\nend\n# three\nwait 2s\n")
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"one two|A=x", "one two|A=y", "three|"} {
		if got := f.steps[i].title + "|" + f.steps[i].with; got != want {
			t.Errorf("step %d is %q, want %q", i, got, want)
		}
	}
}

func TestFlowMistakesAreNamed(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"  A: b", "flow:1: indented line without"},
		{"wait 1s\n  A: b", "flow:2: nothing can stand below"},
		{"wait", "flow:1: usage: wait DURATION"},
		{"wait 6", `flow:1: wait: "6" is not a duration`},
		{"wait -6s", `flow:1: wait: "-6s" is not a duration`},
		{"c1", "flow:1: what does c1 do?"},
		{"c1 ? GET /", `flow:1: "?" is not a word`},
		{"c1! > GET /", `flow:1: "c1!" is neither`},
		{"c1 > GET", "flow:1: usage: NAME > METHOD"},
		{"c1 > GET / / /", "flow:1: usage: NAME > METHOD"},
		{"c1 > GET / 1.0", `flow:1: >: "1.0" is not a version`},
		{"c1 > nothing", "flow:1: usage: NAME > METHOD"},
		{"c1 < 200 within soon", `flow:1: <: "soon" is not a duration`},
		{"c1 >> hello", "flow:1: usage: NAME >>"},
		{"c1 >> \"\"", "flow:1: usage: NAME >>"},
		{"c1 < 200\n  Set-Cookie", `flow:2: "Set-Cookie": no colon`},
		{"c1 < 200\n  ! Set-Cookie: x", `flow:2: "! Set-Cookie: x": ! takes a name alone`},
		{"c1 < 200\n  ~ A: (", "flow:2: error parsing regexp"},
		{"c1 < 200\n  (bad): x", `flow:2: "(bad): x" is neither a field`},
		{"c1 > GET /\n  ~ A: b", `flow:2: "~ A: b": what is sent`},
		{"each S 1 2\nwait 1s", "flow:1: no end to this loop"},
		{"end", "flow:1: end without"},
		{"each S\nend", "flow:1: each S has no values"},
		{"each s 1\nend", "flow:1: each wants a name in capital letters"},
		{"each S 1\neach S 2\nend\nend", "flow:2: $S is already"},
		{"repeat 5..4\nend", `flow:1: repeat: "5..4" is not a number`},
		{"webA checked x times in 3s", `flow:1: checked: strconv.ParseUint: parsing "x"`},
		{"webA checked 3 times in 3", `flow:1: checked: "3" is not a duration`},
		{"webA checked from there", `flow:1: checked: ParseAddr("there")`},
		{"log nothings", "flow:1: usage: log ~ REGEXP | nothing"},
		{"c1 connect now", "flow:1: usage: CLIENT connect"},
		{"house a.hcl on 10.0.0.1", "flow:1: usage: house FILE [at ADDRESS]"},
		{"reload", "flow:1: usage: reload FILE"},
		{"reload a.hcl refused", "flow:1: usage: reload FILE"},
		{"reload a.hcl refused ~ (", "flow:1: reload: error parsing regexp"},
		{"server stop webfarm/webA", "flow:1: usage: server ready"},
		{"server weight webfarm/webA", "flow:1: usage: server ready"},
		{"server drain", "flow:1: usage: server ready"},
		{"cut 10.0.0.0/8", "flow:1: usage: cut NETWORK NETWORK"},
		{"mend all", "flow:1: usage: mend"},
		{"webA counts some", `flow:1: counts: strconv.ParseUint: parsing "some"`},
		{`webA >> "x" of /a`, "flow:1: usage: NAME >>"},
		{`webA << "x" of /a`, "flow:1: usage: NAME <<"},
		{"repeat x\nend", `flow:1: repeat: "x" is not a number`},
		{"repeat 50000\neach A 1 2\nwait 1s\nend\nend", "flow:2: loops turn more than"},
		{"c1 > GET /$X", "flow:1: $X is not the name of a loop"},
		{"pick", "flow:1: usage: pick SERVERS"},
		{"pick 5", "flow:1: usage: pick SERVERS"},
		{"pick AB y2", "flow:1: usage: pick SERVERS"},
		{"pick 5 spread A=x", `flow:1: pick: "A=x" is not SERVER=SHARE`},
		{"webA checks maybe", "flow:1: usage: SERVER checks"},
		{"webA checked 200", "flow:1: usage: SERVER checked"},
		{"log x", "flow:1: usage: log ~ REGEXP"},
	} {
		_, err := parseFlow("flow", c.text)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("parseFlow(%q): got error %v, want %q in it", c.text, err, c.want)
		}
	}
}

func TestPickLines(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"ABCD", "4 [A B C D]  map[]"},
		{"AB x3", "6 [A B A B A B]  map[]"},
		{"s1,s2", "2 [s1 s2]  map[]"},
		{"20 same", "20 [] same map[]"},
		{"8 of BC", "8 [B C] of map[]"},
		{"40 spread A=1 B=3", "40 [] spread map[A:1 B:3]"},
	} {
		k, err := parsePick(strings.Fields(c.args))
		if got := fmt.Sprintf("%d %v %s %v", k.n, k.want, k.kind, k.share); err != nil || got != c.want {
			t.Errorf("parsePick(%q) = %s, %v; want %s", c.args, got, err, c.want)
		}
	}
}

// FuzzFlow looks for texts that make the parser panic or unroll without bound, and for errors without a place.
func FuzzFlow(f *testing.F) {
	for _, s := range []string{
		"# a\nc1 > GET /\n  Cookie: a=b\nwebA < GET /\n  ! Cookie\nwebA > 200\n  | hi\nc1 < 200 within 5s\n  =~ Set-Cookie: ^A=\n",
		"each A 1 2\nrepeat 3\nc$A > GET /$N\nend\nend\n",
		"each F\n  A: b \\n C: d\n  -\nwebA > 200\n  $F\nend\n",
		"pick ABCD x3\npick 20 same\nc1 pick 400 spread A=1 B=2\n",
		"c1 >> \"\\x16\\x03\"\nc1 << \"x\" after 1s\nwebA checks hang\nhouse b.hcl\nlog ~ x\n",
		"end\n", "each\n", "  x\n", "\r\n#\r\n",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		fl, err := parseFlow("flow", text)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "flow:") {
				t.Errorf("error without a place: %v", err)
			}
			return
		}
		if len(fl.steps) > maxSteps {
			t.Errorf("%d steps", len(fl.steps))
		}
		for _, s := range fl.steps {
			if s.line < 1 || s.line > strings.Count(text, "\n")+1 || s.within <= 0 || s.after < 0 || s.within > 1<<62*time.Nanosecond {
				t.Errorf("impossible step %+v", s)
			}
		}
	})
}
