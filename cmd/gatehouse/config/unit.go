package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// A unit is a word that may follow a number, and what it multiplies it by.
type unit struct {
	name string
	size int64
}

const day = 24 * time.Hour

// durationUnits, from large to small: FormatDuration takes the first that fits.
var durationUnits = []unit{
	{"d", int64(day)}, {"h", int64(time.Hour)}, {"m", int64(time.Minute)}, {"s", int64(time.Second)}, {"ms", int64(time.Millisecond)},
}

// sizeUnits, from large to small. Those of 1000 stand after those of 1024, which FormatSize prefers.
var sizeUnits = []unit{
	{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"KB", 1e3}, {"B", 1},
}

// ParseDuration reads "500ms", "5s", "2m", "12h", "7d" and sums of those such as "1h30m". There are no negative durations.
func ParseDuration(s string) (time.Duration, error) {
	n, err := parseUnits(s, "duration", durationUnits, true)
	return time.Duration(n), err
}

// FormatDuration writes d as ParseDuration reads it. What is shorter than a millisecond is dropped.
func FormatDuration(d time.Duration) string {
	if d < time.Millisecond {
		return "0s"
	}
	var b strings.Builder
	for _, u := range durationUnits {
		if n := int64(d) / u.size; n > 0 {
			fmt.Fprintf(&b, "%d%s", n, u.name)
			d -= time.Duration(n * u.size)
		}
	}
	return b.String()
}

// ParseSize reads "64KiB", "256MiB", "4GiB", "10MB" and "0", in bytes.
func ParseSize(s string) (int64, error) { return parseUnits(s, "size", sizeUnits, false) }

// FormatSize writes n bytes in the largest unit that needs no fraction.
func FormatSize(n int64) string {
	if n == 0 {
		return "0"
	}
	for _, u := range sizeUnits {
		if n%u.size == 0 {
			return strconv.FormatInt(n/u.size, 10) + u.name
		}
	}
	return "" // not reached: the last unit divides everything
}

// parseUnits reads numbers with units, one or, where sums are allowed, several. A plain 0 needs no unit.
func parseUnits(s, what string, units []unit, sums bool) (int64, error) {
	if s == "0" {
		return 0, nil
	}
	if s == "" {
		return 0, fmt.Errorf("empty %s", what)
	}
	if strings.ContainsAny(s, " \t") {
		return 0, fmt.Errorf("%q holds a blank", s)
	}
	var total float64
	for rest := s; rest != ""; {
		n := len(rest) - len(strings.TrimLeft(rest, "0123456789."))
		number, err := strconv.ParseFloat(rest[:n], 64)
		if err != nil {
			return 0, fmt.Errorf("%q is not a %s", s, what)
		}
		rest = rest[n:]
		w := strings.IndexAny(rest, "0123456789.")
		if w < 0 {
			w = len(rest)
		}
		word := rest[:w]
		rest = rest[w:]
		u := unitOf(word, units)
		switch {
		case word == "":
			return 0, fmt.Errorf("%q has no unit", s)
		case u == nil:
			return 0, fmt.Errorf("%q has an unknown unit %q: the units are %s", s, word, unitNames(units))
		case rest != "" && !sums:
			return 0, fmt.Errorf("%q is not a %s", s, what)
		}
		if total += number * float64(u.size); total >= math.MaxInt64 {
			return 0, fmt.Errorf("%q is too large a %s", s, what)
		}
	}
	return int64(math.Round(total)), nil
}

func unitOf(word string, units []unit) *unit {
	for i := range units {
		if units[i].name == word {
			return &units[i]
		}
	}
	return nil
}

func unitNames(units []unit) string {
	var list []string
	for _, u := range units {
		list = append(list, u.name)
	}
	return oneOf(list)
}
