package config

import (
	"math"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"gatehouse/backend"
	"gatehouse/backend/loop"

	"github.com/zclconf/go-cty/cty"
)

func TestParseDuration(t *testing.T) {
	for _, c := range []struct {
		in   string
		want time.Duration
		err  string
	}{
		{"500ms", 500 * time.Millisecond, ""},
		{"5s", 5 * time.Second, ""},
		{"2m", 2 * time.Minute, ""},
		{"12h", 12 * time.Hour, ""},
		{"7d", 7 * 24 * time.Hour, ""},
		{"1h30m", 90 * time.Minute, ""},
		{"1.5s", 1500 * time.Millisecond, ""},
		{"0", 0, ""},
		{"0s", 0, ""},
		{"", 0, "empty duration"},
		{"5", 0, `"5" has no unit`},
		{"1h30", 0, `"1h30" has no unit`},
		{"-5s", 0, `"-5s" is not a duration`},
		{"5 s", 0, "holds a blank"},
		{"5S", 0, `unknown unit "S"`},
		{"5us", 0, `unknown unit "us"`},
		{".s", 0, "is not a duration"},
		{"1.2.3s", 0, "is not a duration"},
		{"s", 0, "is not a duration"},
		{"106752d", 0, "too large"},
		{strings.Repeat("9", 400) + "s", 0, "is not a duration"},
	} {
		got, err := ParseDuration(c.in)
		if got != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("ParseDuration(%q) = %v, %v; want %v, %q", c.in, got, err, c.want, c.err)
		}
	}
}

func TestParseSize(t *testing.T) {
	for _, c := range []struct {
		in   string
		want int64
		err  string
	}{
		{"0", 0, ""},
		{"64KiB", 64 << 10, ""},
		{"256MiB", 256 << 20, ""},
		{"4GiB", 4 << 30, ""},
		{"10KB", 10e3, ""},
		{"10MB", 10e6, ""},
		{"10GB", 10e9, ""},
		{"1.5KiB", 1536, ""},
		{"17B", 17, ""},
		{"64", 0, `"64" has no unit`},
		{"64kb", 0, `unknown unit "kb"`},
		{"-1KiB", 0, "is not a size"},
		{"1MiB1KiB", 0, "is not a size"},
		{"9000000TiB", 0, "too large"},
	} {
		got, err := ParseSize(c.in)
		if got != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("ParseSize(%q) = %v, %v; want %v, %q", c.in, got, err, c.want, c.err)
		}
	}
}

func FuzzParseDuration(f *testing.F) {
	for _, s := range []string{"5s", "1h30m", "0.000001ms", "1e3s", "∞s"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := ParseDuration(s)
		if err != nil {
			return
		}
		if d < 0 {
			t.Errorf("%q is negative: %v", s, d)
		}
		// What is written back means the same, down to the millisecond.
		back, err := ParseDuration(FormatDuration(d))
		if err != nil || back != d.Truncate(time.Millisecond) && d < 1<<52 {
			t.Errorf("%q = %v, written %q, read %v, %v", s, d, FormatDuration(d), back, err)
		}
	})
}

func FuzzParseSize(f *testing.F) {
	for _, s := range []string{"64KiB", "1.5GB", "0", "9B", "8388607TiB"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := ParseSize(s)
		if err != nil {
			return
		}
		back, err := ParseSize(FormatSize(n))
		if err != nil || n < 0 || back != n && n < 1<<52 {
			t.Errorf("%q = %d, written %q, read %d, %v", s, n, FormatSize(n), back, err)
		}
	})
}

// TestBareDurationNamesTheProbableString: HAProxy counts milliseconds, stunnel seconds.
func TestBareDurationNamesTheProbableString(t *testing.T) {
	for _, c := range []struct {
		n           float64
		first, also string
	}{
		{5000, `"5s"`, `"1h23m20s"`},
		{60000, `"1m"`, `"16h40m"`},
		{500, `"500ms"`, `"8m20s"`},
		{1500, `"1s500ms"`, `"25m"`},
		{30, `"30s"`, `"30ms"`},
		{43200, `"12h"`, `"43s200ms"`},
		{0, `"0s"`, ""},
		{-1, `"5s"`, ""},
		{math.Inf(1), `"5s"`, ""},
		{math.NaN(), `"5s"`, ""},
	} {
		got := guessDuration(c.n)
		i, j := strings.Index(got, c.first), strings.Index(got, c.also)
		if i < 0 || j < 0 || c.also != "" && j < i {
			t.Errorf("guessDuration(%v) = %q; want %s, then %s", c.n, got, c.first, c.also)
		}
	}
}

func TestParsePrefix(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"10.0.0.0/8", "10.0.0.0/8"},
		{"10.0.0.1/25", "10.0.0.0/25"},
		{"192.168.1.1", "192.168.1.1/32"},
		{"2001:db8::1/32", "2001:db8::/32"},
		{"::1", "::1/128"},
		{"::ffff:10.0.0.1", "10.0.0.1/32"},
		{"::ffff:10.0.0.1/104", "10.0.0.0/8"},
		{"0.0.0.0/0", "0.0.0.0/0"},
		{"10.0.0.0/33", ""},
		{"10.0.0.0/-1", ""},
		{"10.0.0.0/", ""},
		{"10.0.0/8", ""},
		{"fe80::1%eth0", ""},
		{"", ""},
	} {
		got, err := parsePrefix(c.in)
		if c.want == "" {
			if err == nil || !strings.Contains(err.Error(), "bad network") {
				t.Errorf("parsePrefix(%q) = %v, %v; want an error", c.in, got, err)
			}
		} else if err != nil || got.String() != c.want {
			t.Errorf("parsePrefix(%q) = %v, %v; want %s", c.in, got, err, c.want)
		}
	}
}

func TestAssign(t *testing.T) {
	addr, err := loop.ParseAddr("192.168.1.11:80")
	if err != nil {
		t.Fatal(err)
	}
	number := func(s string) cty.Value { return cty.MustParseNumberVal(s) }
	for _, c := range []struct {
		name string
		in   cty.Value
		tag  reflect.StructTag
		want any    // of the type assigned to
		err  string // in what is wrong, or in the remedy
	}{
		{"string", cty.StringVal("x"), "", "x", ""},
		{"number as string", number("1.20"), "", "1.2", ""},
		{"list as string", cty.EmptyTupleVal, "", "", "x is a list"},
		{"capsule as string", cty.CapsuleVal(referenceType, &reference{"backend", "b"}), "", "", "x is a reference to a block"},
		{"int", number("12"), "", 12, ""},
		{"int from string", cty.StringVal("12"), "", 12, ""},
		{"fraction", number("1.5"), "", 0, "not a whole number"},
		{"huge", number("1e30"), "", 0, "far too large"},
		{"int from word", cty.StringVal("many"), "", 0, `x is "many"`},
		{"bool", cty.True, "", true, ""},
		{"bool from string", cty.StringVal("true"), "", true, ""},
		{"bool from word", cty.StringVal("yes"), "", false, "Write true or false"},
		{"pointer to bool", cty.False, "", new(false), ""},
		{"duration", cty.StringVal("5s"), "", 5 * time.Second, ""},
		{"zero duration", cty.StringVal("0s"), "", time.Duration(0), ""},
		{"zero duration where zero means not set", cty.StringVal("0s"), `assume:"5s"`, time.Duration(-1), ""},
		{"bare duration", number("5000"), "", time.Duration(0), `Probably "5s" was meant`},
		{"bare duration in quotes", cty.StringVal("5000"), "", time.Duration(0), `Probably "5s" was meant`},
		{"bare zero duration", number("0"), "", time.Duration(0), `Write "0s"`},
		{"bool as duration", cty.True, "", time.Duration(0), `"true" is not a duration`},
		{"size", cty.StringVal("64KiB"), `unit:"bytes"`, int64(65536), ""},
		{"bare size", number("65536"), `unit:"bytes"`, int64(0), `Probably "64KiB" was meant`},
		{"bare zero size", number("0"), `unit:"bytes"`, int64(0), `Probably "0" was meant`},
		{"bare fraction of a size", number("0.5"), `unit:"bytes"`, int64(0), `such as "64KiB"`},
		{"address", cty.StringVal("192.168.1.11:80"), "", addr, ""},
		{"pointer to address", cty.StringVal("192.168.1.11:80"), "", &addr, ""},
		{"bad address", cty.StringVal("192.168.1.300:80"), "", loop.Addr{}, "neither an IP address nor a host name"},
		{"IP", cty.StringVal("::1"), "", netip.IPv6Loopback(), ""},
		{"bad IP", cty.StringVal("localhost"), "", netip.Addr{}, "is not an IP address"},
		{"enum", cty.StringVal("prefix"), "", backend.Prefix, ""},
		{"bad enum", cty.StringVal("prefiks"), "", backend.Insert, `Did you mean "prefix"?`},
		{"enum far off", cty.StringVal("none"), "", backend.Insert, `"rewrite"`},
		{"statuses", cty.StringVal("2xx"), "", backend.Statuses{From: 200, To: 299}, ""},
		{"status as number", number("204"), "", backend.Statuses{From: 204, To: 204}, ""},
	} {
		v := reflect.New(reflect.TypeOf(c.want)).Elem()
		p := assign(v, c.in, "x", c.tag)
		switch {
		case p == nil && c.err != "":
			t.Errorf("%s: %v is accepted, want %q", c.name, v.Interface(), c.err)
		case p == nil && !reflect.DeepEqual(v.Interface(), c.want):
			t.Errorf("%s: got %v, want %v", c.name, v.Interface(), c.want)
		case p != nil && (c.err == "" || !strings.Contains(p.what+"\n"+p.remedy, c.err)):
			t.Errorf("%s: refused with %q, %q; want %q", c.name, p.what, p.remedy, c.err)
		case p != nil && (p.what == "" || p.remedy == ""):
			t.Errorf("%s: refused without a reason or a remedy: %+v", c.name, p)
		}
	}
}

func TestNearest(t *testing.T) {
	words := []string{"weight", "cookie", "check", "server", "max_connections", "tls"}
	for _, c := range []struct{ in, want string }{
		{"wieght", "weight"},
		{"Weight", "weight"},
		{"weights", "weight"},
		{"max_connection", "max_connections"},
		{"maxconnections", "max_connections"},
		{"tsl", "tls"},
		{"max", "max_connections"},
		{"xyz", ""},
		{"", ""},
		{strings.Repeat("x", 1000), ""},
	} {
		if got := nearest(c.in, words); got != c.want {
			t.Errorf("nearest(%.20q) = %q, want %q", c.in, got, c.want)
		}
	}
}
