package h1

import "testing"

// TestMode: the words of the configuration are read and printed alike, and nothing else is a mode.
func TestMode(t *testing.T) {
	for _, want := range []Mode{HTTP, TCP} {
		var got Mode
		if err := got.UnmarshalText([]byte(want.String())); err != nil || got != want {
			t.Errorf("%q was read as %v, %v", want, got, err)
		}
	}
	for _, word := range []string{"", "HTTP", "udp", "http "} {
		m := TCP
		if err := m.UnmarshalText([]byte(word)); err == nil || m != TCP {
			t.Errorf("%q was read as %v, %v", word, m, err)
		}
	}
	if got, want := Mode(7).String(), "Mode(7)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
