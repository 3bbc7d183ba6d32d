package h1

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

func TestAppendDate(t *testing.T) {
	for _, c := range []struct {
		unix int64
		want string
	}{
		{784111777, "Sun, 06 Nov 1994 08:49:37 GMT"},
		{0, "Thu, 01 Jan 1970 00:00:00 GMT"},
		{951782400, "Tue, 29 Feb 2000 00:00:00 GMT"},
		{253402300799, "Fri, 31 Dec 9999 23:59:59 GMT"},
		{-1, "Wed, 31 Dec 1969 23:59:59 GMT"},
	} {
		if got := string(AppendDate(nil, c.unix)); got != c.want {
			t.Errorf("AppendDate(%d) = %q, want %q", c.unix, got, c.want)
		}
	}
}

func TestParseDate(t *testing.T) {
	const want = 784111777
	for _, s := range []string{"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"} {
		if got, ok := ParseDate([]byte(s)); !ok || got.Unix() != want || got.Location() != time.UTC {
			t.Errorf("ParseDate(%q) = %v, %v", s, got, ok)
		}
	}
	for s, want := range map[string]int64{
		"Tue, 29 Feb 2000 00:00:00 GMT": 951782400,
		"Sat, 31 Dec 2016 23:59:60 GMT": 1483228800, // a leap second
		"Sat Dec 31 23:59:59 2016":      1483228799,
		"Mon, 06 Nov 1994 08:49:37 GMT": 784111777, // it was a Sunday
	} {
		if got, ok := ParseDate([]byte(s)); !ok || got.Unix() != want {
			t.Errorf("ParseDate(%q) = %v, %v, want %v", s, got, ok, time.Unix(want, 0).UTC())
		}
	}
	for _, s := range []string{
		"", "0", "-1", "Sun", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 UTC", "Sun, 06 Nov 1994 08:49:37 GMT ",
		"Sun, 6 Nov 1994 08:49:37 GMT", "Sun, 31 Feb 1994 08:49:37 GMT", "Sun, 00 Nov 1994 08:49:37 GMT", "Tue, 29 Feb 2001 00:00:00 GMT",
		"Sun, 06 Nov 1994 24:00:00 GMT", "Sun, 06 Nov 1994 08:60:37 GMT", "Sun, 06 Nov 1994 08:49:61 GMT", "sun, 06 nov 1994 08:49:37 gmt",
		"Sun, 06 Foo 1994 08:49:37 GMT", "Foo, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 94 08:49:37 GMT", "Sun; 06 Nov 1994 08:49:37 GMT",
		"Sun, +6 Nov 1994 08:49:37 GMT", "Sun, 06-Nov-1994 08:49:37 GMT", "Sunda, 06-Nov-94 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 EST",
		"Sunday, 06 Nov 94 08:49:37 GMT", "Sunday, 06-Nov-9x 08:49:37 GMT", "Sun Nov 06 08:49:37 94", "Sun Nov  6 08:49:37 1994 GMT",
		"Sun Nov  6 8:49:37  1994", "1994-11-06T08:49:37Z", "Sunday, 06-Nov-94 08:49:37 GMT, 06-Nov-94",
	} {
		if got, ok := ParseDate([]byte(s)); ok {
			t.Errorf("ParseDate(%q) = %v", s, got)
		}
	}
}

// TestTwoDigitYears: "more than 50 years in the future" is the last century (RFC 9110 5.6.7). In the bubble it is 2000.
func TestTwoDigitYears(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for s, want := range map[string]int{
			"Friday, 01-Jan-49 00:00:00 GMT":   2049,
			"Saturday, 01-Jan-00 00:00:00 GMT": 2000,
			"Sunday, 02-Jan-50 00:00:00 GMT":   1950,
			"Friday, 31-Dec-99 23:59:59 GMT":   1999,
		} {
			if got, ok := ParseDate([]byte(s)); !ok || got.Year() != want {
				t.Errorf("ParseDate(%q) = %v, %v, want %d", s, got, ok, want)
			}
		}
	})
}

func TestDatesAllocateNothing(t *testing.T) {
	b := make([]byte, 0, 64)
	if n := testing.AllocsPerRun(100, func() {
		b = AppendDate(b[:0], 784111777)
		if _, ok := ParseDate(b); !ok {
			t.Fatal(string(b))
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzParseDate: what is a date here is the same one to net/http, but for leap seconds, the years of RFC 850, which it
// splits at 69, and wrong days of the week, which it overlooks as well.
func FuzzParseDate(f *testing.F) {
	for _, s := range []string{"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994", "Sat Dec 31 23:59:60 2016"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, ok := ParseDate(b)
		if !ok {
			return
		}
		want, err := http.ParseTime(string(b))
		switch {
		case err != nil && got.Second() == 0: // perhaps the second 60
		case err != nil:
			t.Fatalf("%q is %v, net/http: %v", b, got, err)
		case !want.Equal(got) && !want.AddDate(-100, 0, 0).Equal(got) && !want.AddDate(100, 0, 0).Equal(got):
			t.Fatalf("%q is %v, net/http has %v", b, got, want)
		}
		if again, ok := ParseDate(AppendDate(nil, got.Unix())); got.Year() <= 9999 && (!ok || !again.Equal(got)) {
			t.Fatalf("%q is %v, written and read again %v, %v", b, got, again, ok)
		}
	})
}
