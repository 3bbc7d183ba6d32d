package backend

import (
	"strings"
	"testing"
)

// healthy is what a check finds that does not say more.
func healthy(good bool) finding {
	if good {
		return well
	}
	return ill
}

// results plays good ("+"), bad ("-") and leaving ("4") results and returns after each whether the server is up ("U"), leaving ("L") or
// down ("d").
func results(p *pulse, s string) string {
	var out strings.Builder
	for _, c := range s {
		p.beat(map[rune]finding{'+': well, '-': ill, '4': leaving}[c])
		switch {
		case p.leaving:
			out.WriteByte('L')
		case p.up():
			out.WriteByte('U')
		default:
			out.WriteByte('d')
		}
	}
	return out.String()
}

// One that flaps stays what it was (hostile-input.md, row 98).
func TestPulse(t *testing.T) {
	tests := []struct {
		name       string
		rise, fall int
		in, want   string
	}{
		{"the first good result decides", 2, 3, "+", "U"},
		{"the first bad result decides", 2, 3, "-", "d"},
		{"falls at the third in a row", 2, 3, "+---", "UUUd"},
		{"in a row, not in all", 2, 3, "+--+--+---", "UUUUUUUUUd"},
		{"rises at the second in a row", 2, 3, "-++", "ddU"},
		{"in a row, not in all", 2, 3, "-+-+-++", "ddddddU"},
		{"risen, it falls slowly again", 2, 3, "-++---", "ddUUUd"},
		{"the guide's fall 2", 2, 2, "+--++", "UUddU"},
		{"one of each", 1, 1, "+-+-", "UdUd"},
		{"AT-4.5: it leaves at once, and is back at once", 2, 3, "+4+44+", "ULULLU"},
		{"AT-4.5: leaving is as good as well", 2, 2, "+-4-4+-", "UULLLUU"},
		{"AT-4.5: one that leaves goes down like any other", 2, 2, "4--4+4++", "LLdddddU"},
		{"AT-4.5: one that is down stays so", 1, 1, "-44+4", "dddUL"},
		{"a long rise", 5, 1, "-++++-+++++", "ddddddddddU"},
	}
	for _, tt := range tests {
		if got := results(&pulse{rise: tt.rise, fall: tt.fall}, tt.in); got != tt.want {
			t.Errorf("%s (rise %d fall %d): %s gives %s, want %s", tt.name, tt.rise, tt.fall, tt.in, got, tt.want)
		}
	}
}

// The worst verdict of several checks counts; nothing is decided before the last first result, unless it is the worst.
func TestPatientWorstVerdictWins(t *testing.T) {
	type step struct {
		check   int
		good    bool
		changed bool
		health  standing
		why     string
	}
	http := &Check{Kind: CheckHTTP, Rise: 2, Fall: 1, OnFail: OnFailDrain}
	tcp := &Check{Kind: CheckTCP, Rise: 2, Fall: 1}
	tests := []struct {
		name   string
		checks []*Check
		steps  []step
	}{
		{"one check", []*Check{tcp}, []step{
			{0, true, true, open, "0+"}, {0, true, false, open, ""}, {0, false, true, shut, "0-"}, {0, true, false, shut, ""}, {0, true, true, open, "0+"},
		}},
		{"on_fail drain", []*Check{http}, []step{
			{0, false, true, failing, "0-"}, {0, true, false, failing, ""}, {0, true, true, open, "0+"}, {0, false, true, failing, "0-"},
		}},
		{"the first verdict is told even if it changes nothing", []*Check{tcp}, []step{
			{0, false, true, shut, "0-"}, {0, false, false, shut, ""},
		}},
		{"two, both good", []*Check{http, tcp}, []step{
			{1, true, false, shut, ""}, {0, true, true, open, "0+"},
		}},
		{"the milder one waits for the other", []*Check{http, tcp}, []step{
			{0, false, false, shut, ""}, {1, true, true, failing, "0-"},
		}},
		{"the worst does not wait", []*Check{http, tcp}, []step{
			{1, false, true, shut, "1-"}, {0, true, false, shut, ""}, {1, true, false, shut, ""}, {1, true, true, open, "1+"},
		}},
		{"from failing to down and back", []*Check{http, tcp}, []step{
			{0, true, false, shut, ""}, {1, true, true, open, "1+"}, {0, false, true, failing, "0-"},
			{1, false, true, shut, "1-"}, {1, true, false, shut, ""}, {1, true, true, failing, "0-"},
		}},
	}
	for _, tt := range tests {
		p := newPatient(tt.checks)
		if p.health != shut {
			t.Errorf("%s: %v before any check", tt.name, p.health)
		}
		for i, s := range tt.steps {
			said := string('0' + rune(s.check))
			if s.good {
				said += "+"
			} else {
				said += "-"
			}
			changed, why := p.note(s.check, healthy(s.good), said)
			if changed != s.changed || p.health != s.health || changed && why != s.why {
				t.Errorf("%s, step %d: changed %v to %v because %q, want %v %v %q", tt.name, i, changed, p.health, why, s.changed, s.health, s.why)
			}
		}
	}
}

// AT-4.13: a reload does not make servers flap.
func TestPatientCarriesHealthOver(t *testing.T) {
	for _, health := range []standing{open, closing, failing, shut} {
		p := newPatient([]*Check{{Rise: 2, Fall: 2, OnFail: OnFailDrain}})
		p.carry(health)
		good := health <= closing
		if health == closing {
			if changed, _ := p.note(0, leaving, ""); changed {
				t.Error("leaving before the reload and after it: a change")
			}
			continue
		}
		if changed, _ := p.note(0, healthy(good), ""); changed && health != shut || health == open && p.health != open {
			t.Errorf("%v: the same result again changes it to %v", health, p.health)
		}
		if _, _ = p.note(0, healthy(!good), ""); health == open && p.health != open {
			t.Errorf("one bad check of two takes it out")
		}
	}
	p := newPatient([]*Check{{Rise: 2, Fall: 2}})
	p.carry(shut)
	if changed, _ := p.note(0, well, ""); changed {
		t.Error("down before the reload, up at the first good check of two")
	}
	if changed, _ := p.note(0, well, ""); !changed || p.health != open {
		t.Error("two good checks do not bring it up")
	}
}

func TestChecksFor(t *testing.T) {
	http, http2, tcp := &Check{Request: "a"}, &Check{Request: "b"}, &Check{Kind: CheckTCP}
	own, own2, tls := &Check{Request: "o"}, &Check{Request: "p"}, &Check{Kind: CheckTLS}
	tests := []struct {
		name         string
		backend, own []*Check
		want         []*Check
	}{
		{"none", nil, nil, nil},
		{"the backend's", []*Check{http, tcp}, nil, []*Check{http, tcp}},
		{"only this server's", nil, []*Check{own}, []*Check{own}},
		{"its own in the place of the same kind", []*Check{tcp, http}, []*Check{own}, []*Check{tcp, own}},
		{"another kind beside it", []*Check{http}, []*Check{tls}, []*Check{http, tls}},
		{"each for one", []*Check{http, http2}, []*Check{own, own2}, []*Check{own, own2}},
		{"the second of a kind stays", []*Check{http, http2}, []*Check{own}, []*Check{own, http2}},
		{"one more", []*Check{http}, []*Check{own, own2}, []*Check{own, own2}},
	}
	for _, tt := range tests {
		got := checksFor(tt.backend, tt.own)
		if len(got) != len(tt.want) {
			t.Errorf("%s: %d checks, want %d", tt.name, len(got), len(tt.want))
			continue
		}
		for i := range got {
			if got[i] != tt.want[i] {
				t.Errorf("%s: check %d is %+v", tt.name, i, *got[i])
			}
		}
	}
	if b := []*Check{http}; len(checksFor(b, []*Check{own})) != 1 || b[0] != http {
		t.Error("the backend's list was changed")
	}
}

func TestStandingOf(t *testing.T) {
	tests := []struct {
		health standing
		state  State
		weight int
		want   standing
	}{
		{open, Ready, 1, open}, {open, Drain, 1, closing}, {open, Maint, 1, shut}, {open, Ready, 0, closing},
		{failing, Ready, 1, failing}, {failing, Drain, 1, failing}, {failing, Ready, 0, failing}, {failing, Maint, 0, shut},
		{shut, Ready, 1, shut}, {shut, Drain, 0, shut},
	}
	for _, tt := range tests {
		if got := standingOf(tt.health, tt.state, tt.weight); got != tt.want {
			t.Errorf("%v, %v, weight %d: %v, want %v", tt.health, tt.state, tt.weight, got, tt.want)
		}
	}
}
