package h1

import "time"

// imfFixdate is the form of a date that is written (RFC 9110 5.6.7).
const imfFixdate = "Mon, 02 Jan 2006 15:04:05 GMT"

// AppendDate appends a time given in seconds since 1970 as IMF-fixdate: "Sun, 06 Nov 1994 08:49:37 GMT".
func AppendDate(dst []byte, unix int64) []byte {
	return time.Unix(unix, 0).UTC().AppendFormat(dst, imfFixdate)
}

const (
	months = "JanFebMarAprMayJunJulAugSepOctNovDec"
	days   = "SunMonTueWedThuFriSat"
)

// ParseDate reads an HTTP date in any of the three forms of RFC 9110 5.6.7 and reports whether it is one. The day of
// the week must be a day of the week, but it need not be the right one.
//
//	Sun, 06 Nov 1994 08:49:37 GMT    IMF-fixdate
//	Sunday, 06-Nov-94 08:49:37 GMT   RFC 850, obsolete
//	Sun Nov  6 08:49:37 1994         asctime, obsolete
func ParseDate(b []byte) (time.Time, bool) {
	if len(b) < 24 {
		return time.Time{}, false
	}
	weekday := index(days, b)
	if weekday < 0 {
		return time.Time{}, false
	}
	switch {
	case len(b) == len(imfFixdate) && b[3] == ',':
		b = b[3:]
		if b[1] != ' ' || b[4] != ' ' || b[8] != ' ' {
			return time.Time{}, false
		}
		return date(number(b[9:13]), index(months, b[5:]), number(b[2:4]), b[13:], " GMT")
	case b[3] == ' ':
		if len(b) != 24 || b[7] != ' ' || b[19] != ' ' {
			return time.Time{}, false
		}
		day := number(b[8:10])
		if b[8] == ' ' {
			day = number(b[9:10])
		}
		return date(number(b[20:24]), index(months, b[4:]), day, b[10:19], "")
	}
	name := time.Weekday(weekday).String()
	if len(b) != len(name)+24 || string(b[:len(name)]) != name {
		return time.Time{}, false
	}
	if b = b[len(name):]; b[0] != ',' || b[1] != ' ' || b[4] != '-' || b[8] != '-' {
		return time.Time{}, false
	}
	year := number(b[9:11])
	if year < 0 {
		return time.Time{}, false
	}
	// "Recipients of a timestamp value in rfc850-date format, which uses a two-digit year, MUST interpret a timestamp that
	// appears to be more than 50 years in the future as representing the most recent year in the past that had the same
	// last two digits."
	now := time.Now().UTC()
	year += now.Year() / 100 * 100
	t, ok := date(year, index(months, b[5:]), number(b[2:4]), b[11:], " GMT")
	if ok && t.After(now.AddDate(50, 0, 0)) {
		t, ok = date(year-100, index(months, b[5:]), number(b[2:4]), b[11:], " GMT")
	}
	return t, ok
}

// date makes a time of its parts; clock is " 08:49:37" and the zone. Parts that could not be read are negative.
func date(year, month, day int, clock []byte, zone string) (time.Time, bool) {
	if len(clock) != 9+len(zone) || clock[0] != ' ' || clock[3] != ':' || clock[6] != ':' || string(clock[9:]) != zone {
		return time.Time{}, false
	}
	h, m, s := number(clock[1:3]), number(clock[4:6]), number(clock[7:9])
	// A leap second is the second 60, and the first of the next minute to us.
	if year < 0 || month < 0 || day < 1 || h < 0 || h > 23 || m < 0 || m > 59 || s < 0 || s > 60 {
		return time.Time{}, false
	}
	t := time.Date(year, time.Month(month+1), day, h, m, 0, 0, time.UTC)
	if t.Day() != day { // the 31st of a shorter month
		return time.Time{}, false
	}
	return t.Add(time.Duration(s) * time.Second), true
}

// index returns the number of the three letters that b begins with in names, or -1.
func index(names string, b []byte) int {
	for i := 0; i < len(names); i += 3 {
		if string(b[:3]) == names[i:i+3] {
			return i / 3
		}
	}
	return -1
}

// number reads decimal digits, nothing else; -1 when there is something else.
func number(b []byte) (n int) {
	for _, c := range b {
		if !digit(c) {
			return -1
		}
		n = n*10 + int(c-'0')
	}
	return n
}
