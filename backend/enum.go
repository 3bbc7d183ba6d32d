package backend

import (
	"fmt"
	"strconv"
	"strings"

	"gatehouse/backend/h1"
)

// Balance is how a server is chosen for a request that no cookie binds to one. The zero Balance is roundrobin.
type Balance struct {
	Algorithm string // one of balances; "" means "roundrobin"
	Header    string // the field whose value is hashed, for "header"
}

// The algorithms of Balance.
const (
	byRoundRobin = "roundrobin"
	byLeastConn  = "leastconn"
	bySource     = "source"
	byRandom     = "random"
	byURI        = "uri"
	byHeader     = "header"
	byFirst      = "first"
)

// balances are the choices as a configuration spells them.
var balances = []string{byRoundRobin, byLeastConn, bySource, byRandom, byURI, byHeader + ":NAME", byFirst}

// String returns b as a configuration spells it.
func (b Balance) String() string {
	switch b.Algorithm {
	case "":
		return byRoundRobin
	case byHeader:
		return byHeader + ":" + b.Header
	}
	return b.Algorithm
}

// UnmarshalText reads one of the algorithms, or "header:NAME" with a valid field name (RFC 9110 5.1).
func (b *Balance) UnmarshalText(text []byte) error {
	s := string(text)
	if name, ok := strings.CutPrefix(s, byHeader+":"); ok {
		if !isToken(name) {
			return fmt.Errorf("balance %q: %q is not a header field name", s, name)
		}
		*b = Balance{Algorithm: byHeader, Header: name}
		return nil
	}
	if s == byHeader {
		return fmt.Errorf(`balance "header" needs a field name: "header:NAME"`)
	}
	for _, c := range balances {
		if s == c {
			*b = Balance{Algorithm: s}
			return nil
		}
	}
	return refuse("balance", s, balances)
}

// isToken reports whether s is a token (RFC 9110 5.6.2).
func isToken(s string) bool { return h1.IsToken([]byte(s)) }

// The words of the enums below, in the order of their constants.
var (
	states      = []string{Ready: "ready", Drain: "drain", Maint: "maint"}
	cookieModes = []string{Insert: "insert", Prefix: "prefix", Rewrite: "rewrite", Passive: "passive"}
	sameSites   = []string{Lax: "lax", Strict: "strict", None: "none"}
	checkKinds  = []string{CheckHTTP: "http", CheckTCP: "tcp", CheckTLS: "tls"}
	protocols   = []string{ProtocolHTTP1: protocolH1, ProtocolHTTP2: protocolH2, ProtocolAuto: "auto"}
	onFails     = []string{OnFailDown: "down", OnFailDrain: "drain"}
)

// String returns the word of the configuration.
func (s State) String() string { return word(s, states) }

// UnmarshalText reads "ready", "drain" or "maint".
func (s *State) UnmarshalText(text []byte) error { return choose(s, "state", text, states) }

// MarshalText implements encoding.TextMarshaler, for the file that keeps what the operator wants.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// String returns the word of the configuration.
func (m CookieMode) String() string { return word(m, cookieModes) }

// UnmarshalText reads "insert", "prefix", "rewrite" or "passive".
func (m *CookieMode) UnmarshalText(text []byte) error {
	return choose(m, "cookie mode", text, cookieModes)
}

// String returns the word of the configuration.
func (s SameSite) String() string { return word(s, sameSites) }

// UnmarshalText reads "lax", "strict" or "none".
func (s *SameSite) UnmarshalText(text []byte) error { return choose(s, "same_site", text, sameSites) }

// String returns the word of the configuration.
func (k CheckKind) String() string { return word(k, checkKinds) }

// UnmarshalText reads "http", "tcp" or "tls".
func (k *CheckKind) UnmarshalText(text []byte) error {
	return choose(k, "kind of check", text, checkKinds)
}

// String returns the word of the configuration.
func (f OnFail) String() string { return word(f, onFails) }

// UnmarshalText reads "down" or "drain".
func (f *OnFail) UnmarshalText(text []byte) error { return choose(f, "on_fail", text, onFails) }

// String returns the word of the configuration.
func (p Protocol) String() string { return word(p, protocols) }

// UnmarshalText reads "http/1.1", "h2" or "auto".
func (p *Protocol) UnmarshalText(text []byte) error { return choose(p, "protocol", text, protocols) }

// String returns s as a configuration spells it: "200", "2xx" or "200-399".
func (s Statuses) String() string {
	switch {
	case s.From == s.To:
		return strconv.Itoa(s.From)
	case s.From%100 == 0 && s.To == s.From+99:
		return strconv.Itoa(s.From/100) + "xx"
	}
	return strconv.Itoa(s.From) + "-" + strconv.Itoa(s.To)
}

// UnmarshalText reads one status from 100 to 599, a class such as "2xx", or a range such as "200-399".
func (s *Statuses) UnmarshalText(text []byte) error {
	t := string(text)
	if len(t) == 3 && t[0] >= '1' && t[0] <= '5' && strings.EqualFold(t[1:], "xx") {
		n := int(t[0]-'0') * 100
		*s = Statuses{n, n + 99}
		return nil
	}
	from, to, isRange := strings.Cut(t, "-")
	if !isRange {
		to = from
	}
	a, okA := status(from)
	b, okB := status(to)
	switch {
	case !okA || !okB:
		return fmt.Errorf(`statuses %q: want a status from 100 to 599, a class such as "2xx" or a range such as "200-399"`, t)
	case a > b:
		return fmt.Errorf("statuses %q: the range ends before it begins", t)
	}
	*s = Statuses{a, b}
	return nil
}

// status reads exactly three digits. strconv would take signs too.
func status(s string) (n int, ok bool) {
	if len(s) != 3 {
		return 0, false
	}
	for i := range 3 {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = n*10 + int(s[i]-'0')
	}
	return n, n >= 100 && n <= 599
}

// has reports whether the status is in the range.
func (s Statuses) has(status int) bool { return s.From <= status && status <= s.To }

// word returns the word of an enum's value; a value that does not exist prints its number.
func word[E ~uint8](e E, words []string) string {
	if int(e) < len(words) {
		return words[e]
	}
	return strconv.Itoa(int(e))
}

// choose sets *e to the value the text names.
func choose[E ~uint8](e *E, what string, text []byte, words []string) error {
	for i, w := range words {
		if string(text) == w {
			*e = E(i)
			return nil
		}
	}
	return refuse(what, string(text), words)
}

// refuse names the choices.
func refuse(what, got string, words []string) error {
	last := len(words) - 1
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = strconv.Quote(w)
	}
	return fmt.Errorf("unknown %s %q: want %s or %s", what, got, strings.Join(quoted[:last], ", "), quoted[last])
}
