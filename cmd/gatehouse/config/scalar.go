package config

import (
	"encoding"
	"fmt"
	"math"
	"math/big"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"time"

	"gatehouse/backend/loop"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// A problem is why a value was refused: what is wrong, and what to write instead.
type problem struct{ what, remedy string }

var (
	durationType = reflect.TypeFor[time.Duration]()
	addrType     = reflect.TypeFor[netip.Addr]()
	prefixType   = reflect.TypeFor[netip.Prefix]()
	endpointType = reflect.TypeFor[loop.Addr]()
	textType     = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// assign sets v, which holds one value and no list, to what a configuration says. Val is known and not null; name is the
// attribute's, for the messages.
func assign(v reflect.Value, val cty.Value, name string, tag reflect.StructTag) *problem {
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	if ty := val.Type(); !ty.IsPrimitiveType() {
		return &problem{fmt.Sprintf("%s is %s", name, article(kindOf(ty))), want(v.Type(), tag)}
	}
	switch {
	case v.Type() == durationType:
		return assignDuration(v, val, name, tag)
	case tag.Get("unit") == "bytes":
		return assignSize(v, val, name)
	case v.Addr().Type().Implements(textType):
		return assignText(v, val, name, tag)
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text(val))
	case reflect.Bool:
		b, err := convert.Convert(val, cty.Bool)
		if err != nil {
			return &problem{fmt.Sprintf("%s is %s", name, spell(val)), want(v.Type(), tag)}
		}
		v.SetBool(b.True())
	case reflect.Int, reflect.Int64, reflect.Uint16:
		return assignInt(v, val, name, tag)
	default:
		panic(fmt.Sprintf("attribute %s: no way to read a %s", name, v.Type()))
	}
	return nil
}

func assignInt(v reflect.Value, val cty.Value, name string, tag reflect.StructTag) *problem {
	number, err := convert.Convert(val, cty.Number)
	if err != nil {
		return &problem{fmt.Sprintf("%s is %s", name, spell(val)), want(v.Type(), tag)}
	}
	n, accuracy := number.AsBigFloat().Int64()
	switch {
	case accuracy != big.Exact && number.AsBigFloat().IsInt():
		return &problem{fmt.Sprintf("%s is far too large", name), want(v.Type(), tag)}
	case accuracy != big.Exact:
		return &problem{fmt.Sprintf("%s is not a whole number", name), want(v.Type(), tag)}
	case v.CanInt():
		v.SetInt(n)
	case n < 0 || v.OverflowUint(uint64(n)):
		return &problem{fmt.Sprintf("%s is out of range", name), want(v.Type(), tag)}
	default:
		v.SetUint(uint64(n))
	}
	return nil
}

func assignDuration(v reflect.Value, val cty.Value, name string, tag reflect.StructTag) *problem {
	s := text(val)
	if n, err := strconv.ParseFloat(s, 64); err == nil && (n != 0 || val.Type() == cty.Number) {
		return &problem{fmt.Sprintf("%s is a number without a unit", name), guessDuration(n)}
	}
	d, err := ParseDuration(s)
	if err != nil {
		return &problem{fmt.Sprintf("%s: %v", name, err), want(v.Type(), tag)}
	}
	if _, ok := tag.Lookup("assume"); ok && d == 0 {
		d = -1 // zero would mean "not set"
	}
	v.SetInt(int64(d))
	return nil
}

// guessDuration tells the operator which string a bare number was probably meant to be. HAProxy counts milliseconds and its
// configurations are full of round thousands; stunnel counts seconds.
func guessDuration(n float64) string {
	ms, s := durationOf(n, time.Millisecond), durationOf(n, time.Second)
	switch {
	case n < 0 || n > 1e12 || math.IsNaN(n):
		return `Durations are strings with a unit, such as "500ms", "5s", "2m", "12h" or "7d".`
	case n == 0:
		return `Write "0s".`
	case math.Mod(n, 1000) == 0 || n >= 100 && n < 10000 && math.Mod(n, 50) == 0:
		return fmt.Sprintf("Probably %q was meant: HAProxy counts milliseconds. If it counts seconds, as in stunnel, write %q.", ms, s)
	}
	return fmt.Sprintf("Probably %q was meant: stunnel counts seconds. If it counts milliseconds, as in HAProxy, write %q.", s, ms)
}

func durationOf(n float64, unit time.Duration) string {
	return FormatDuration(time.Duration(n * float64(unit)))
}

func assignSize(v reflect.Value, val cty.Value, name string) *problem {
	s := text(val)
	if n, err := strconv.ParseFloat(s, 64); err == nil && (n != 0 || val.Type() == cty.Number) {
		remedy := `Sizes are strings with a unit, such as "64KiB", "256MiB" or "4GiB".`
		if n >= 0 && n < 1<<62 && n == math.Trunc(n) {
			remedy = fmt.Sprintf("Probably %q was meant.", FormatSize(int64(n)))
		}
		return &problem{fmt.Sprintf("%s is a number without a unit", name), remedy}
	}
	n, err := ParseSize(s)
	if err != nil {
		return &problem{fmt.Sprintf("%s: %v", name, err), `Sizes are strings with a unit, such as "64KiB", "256MiB" or "4GiB"; KB, MB and GB are powers of 1000.`}
	}
	v.SetInt(n)
	return nil
}

func assignText(v reflect.Value, val cty.Value, name string, tag reflect.StructTag) *problem {
	s := text(val)
	switch v.Type() {
	case prefixType:
		p, err := parsePrefix(s)
		if err != nil {
			return &problem{fmt.Sprintf("%s: %v", name, err), want(v.Type(), tag)}
		}
		v.Set(reflect.ValueOf(p))
		return nil
	case addrType:
		a, err := netip.ParseAddr(s)
		if err != nil {
			return &problem{fmt.Sprintf("%s: %q is not an IP address", name, s), want(v.Type(), tag)}
		}
		v.Set(reflect.ValueOf(a))
		return nil
	}
	fresh := reflect.New(v.Type())
	if err := fresh.Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(s)); err != nil {
		remedy := want(v.Type(), tag)
		if word := choice(v.Type(), s, err.Error()); word != "" {
			remedy = fmt.Sprintf("Did you mean %q?", word)
		}
		return &problem{fmt.Sprintf("%s: %v", name, err), remedy}
	}
	v.Set(fresh.Elem())
	return nil
}

// choice finds what given was meant to be among the words of the error that refused it, which names the choices. A word counts
// only when the type accepts it and it begins like given.
func choice(t reflect.Type, given, message string) string {
	var words []string
	for word := range strings.FieldsFuncSeq(message, func(r rune) bool { return strings.ContainsRune(` ",;`, r) }) {
		if word != given && given != "" && word[0] == given[0] && reflect.New(t).Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(word)) == nil {
			words = append(words, word)
		}
	}
	return nearest(given, words)
}

// parsePrefix reads "10.0.0.0/8" or a bare address, which is a network of one. Host bits are masked off, as HAProxy does.
func parsePrefix(s string) (netip.Prefix, error) {
	addr, bits, cut := strings.Cut(s, "/")
	a, err := netip.ParseAddr(addr)
	if err != nil || a.Zone() != "" {
		return netip.Prefix{}, fmt.Errorf("bad network %q: %q is not an IP address", s, addr)
	}
	n := a.BitLen()
	if cut {
		if n, err = strconv.Atoi(bits); err != nil || n < 0 || n > a.BitLen() {
			return netip.Prefix{}, fmt.Errorf("bad network %q: %q is not a length from 0 to %d", s, bits, a.BitLen())
		}
	}
	if a.Is4In6() && n >= 96 {
		a, n = a.Unmap(), n-96
	}
	return netip.PrefixFrom(a, n).Masked(), nil
}

// text returns a primitive value as a string. Numbers are spelled as short as they go: 1.2 is "1.2".
func text(val cty.Value) string {
	s, err := convert.Convert(val, cty.String)
	if err != nil {
		panic("a primitive value that is no string: " + err.Error())
	}
	return s.AsString()
}

// spell returns a primitive value as the configuration would spell it, short enough for a message.
func spell(val cty.Value) string {
	s := text(val)
	if len(s) > 40 {
		s = strings.ToValidUTF8(s[:40], "") + "…"
	}
	if val.Type() == cty.String {
		return strconv.Quote(s)
	}
	return s
}

// kindOf names a type of the language.
func kindOf(ty cty.Type) string {
	switch {
	case ty.IsTupleType() || ty.IsListType() || ty.IsSetType():
		return "list"
	case ty.IsObjectType() || ty.IsMapType():
		return "map"
	case ty.IsCapsuleType():
		return "reference to a block"
	}
	return ty.FriendlyName()
}

// want says what a field of type t may hold, as a remedy.
func want(t reflect.Type, tag reflect.StructTag) string {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t == durationType:
		return `Durations are strings with a unit, such as "500ms", "5s", "2m", "12h" or "7d".`
	case tag.Get("unit") == "bytes":
		return `Sizes are strings with a unit, such as "64KiB", "256MiB" or "4GiB".`
	case t == prefixType:
		return `Write a network such as "10.0.0.0/8" or "2001:db8::/32", or a single address.`
	case t == addrType:
		return `Write an address such as "192.168.1.1" or "2001:db8::1".`
	case t == endpointType:
		return `Write an address such as "192.168.1.11:80", "[::1]:80", "app.internal:80" or "unix:/run/app.sock".`
	case t.Kind() == reflect.Slice:
		return "Write a list in brackets, with commas between its elements."
	case t.Kind() == reflect.Bool:
		return "Write true or false, without quotes."
	case t.Kind() == reflect.Int && !reflect.PointerTo(t).Implements(textType):
		return "Write a whole number, without quotes."
	}
	return "Write a string in double quotes."
}
