package backend

import (
	"encoding"
	"fmt"
	"strings"
	"testing"
)

// enumValue is what every enum of the configuration is.
type enumValue interface {
	fmt.Stringer
	encoding.TextUnmarshaler
}

func TestEnumsPrintWhatTheyRead(t *testing.T) {
	tests := []struct {
		word string
		into enumValue
	}{
		{"roundrobin", new(Balance)}, {"leastconn", new(Balance)}, {"source", new(Balance)}, {"random", new(Balance)},
		{"uri", new(Balance)}, {"first", new(Balance)}, {"header:X-Tenant", new(Balance)}, {"header:header", new(Balance)},
		{"ready", new(State)}, {"drain", new(State)}, {"maint", new(State)},
		{"insert", new(CookieMode)}, {"prefix", new(CookieMode)}, {"rewrite", new(CookieMode)}, {"passive", new(CookieMode)},
		{"lax", new(SameSite)}, {"strict", new(SameSite)}, {"none", new(SameSite)},
		{"http", new(CheckKind)}, {"tcp", new(CheckKind)}, {"tls", new(CheckKind)},
		{"down", new(OnFail)}, {"drain", new(OnFail)},
		{"200", new(Statuses)}, {"2xx", new(Statuses)}, {"200-399", new(Statuses)}, {"100-599", new(Statuses)},
	}
	for _, tt := range tests {
		if err := tt.into.UnmarshalText([]byte(tt.word)); err != nil {
			t.Errorf("%T of %q: %v", tt.into, tt.word, err)
		} else if got := tt.into.String(); got != tt.word {
			t.Errorf("%T of %q prints %q", tt.into, tt.word, got)
		}
	}
}

func TestEnumsNameTheChoices(t *testing.T) {
	tests := []struct {
		word string
		into enumValue
		want string
	}{
		{"round-robin", new(Balance), `unknown balance "round-robin": want "roundrobin", "leastconn", "source", "random", "uri", "header:NAME" or "first"`},
		{"header", new(Balance), `balance "header" needs a field name: "header:NAME"`},
		{"header:", new(Balance), `"" is not a header field name`},
		{"header:a b", new(Balance), `"a b" is not a header field name`},
		{"header:NAME\r\n", new(Balance), `is not a header field name`},
		{"", new(Balance), `unknown balance ""`},
		{"READY", new(State), `unknown state "READY": want "ready", "drain" or "maint"`},
		{"inserted", new(CookieMode), `unknown cookie mode "inserted": want "insert", "prefix", "rewrite" or "passive"`},
		{"Lax", new(SameSite), `want "lax", "strict" or "none"`},
		{"ssl", new(CheckKind), `unknown kind of check "ssl": want "http", "tcp" or "tls"`},
		{"up", new(OnFail), `unknown on_fail "up": want "down" or "drain"`},
		{"2x", new(Statuses), "a status from 100 to 599"},
		{"6xx", new(Statuses), "a status from 100 to 599"},
		{"0xx", new(Statuses), "a status from 100 to 599"},
		{"+20", new(Statuses), "a status from 100 to 599"},
		{"99", new(Statuses), "a status from 100 to 599"},
		{"600", new(Statuses), "a status from 100 to 599"},
		{"200-", new(Statuses), "a status from 100 to 599"},
		{"-200", new(Statuses), "a status from 100 to 599"},
		{"200-300-400", new(Statuses), "a status from 100 to 599"},
		{"399-200", new(Statuses), "ends before it begins"},
	}
	for _, tt := range tests {
		before := tt.into.String()
		err := tt.into.UnmarshalText([]byte(tt.word))
		if err == nil {
			t.Errorf("%T takes %q", tt.into, tt.word)
			continue
		}
		if !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%T of %q: %q, want it to say %q", tt.into, tt.word, err, tt.want)
		}
		if after := tt.into.String(); after != before {
			t.Errorf("%T of %q: refused, yet changed to %q", tt.into, tt.word, after)
		}
	}
}

func TestZeroBalanceIsRoundRobin(t *testing.T) {
	if got := (Balance{}).String(); got != "roundrobin" {
		t.Errorf("zero Balance prints %q", got)
	}
}

func FuzzStatuses(f *testing.F) {
	for _, s := range []string{"200", "2xx", "2XX", "200-399", "", "-", "1-2", "9xx"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var s Statuses
		if s.UnmarshalText(b) != nil {
			return
		}
		if s.From < 100 || s.To > 599 || s.From > s.To {
			t.Fatalf("%q reads as %+v", b, s)
		}
		var again Statuses
		if err := again.UnmarshalText([]byte(s.String())); err != nil || again != s {
			t.Fatalf("%q prints %q, which reads as %+v, %v", b, s, again, err)
		}
	})
}

func FuzzBalance(f *testing.F) {
	for _, s := range append([]string{"", "header:", "header:X-Y", "header:\x00"}, balances...) {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var v Balance
		if v.UnmarshalText(b) == nil && v.String() != string(b) {
			t.Fatalf("%q prints %q", b, v)
		}
	})
}
