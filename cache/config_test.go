package cache

import (
	"reflect"
	"strings"
	"testing"
)

// complaints returns what Check and Advise of a block say: "field: problem".
func complaints(block any) (list []string) {
	say := func(field any, problem, remedy string) {
		name := "?"
		v := reflect.ValueOf(block).Elem()
		for i := range v.NumField() {
			if f := v.Field(i); f.Addr().Interface() == field {
				name = v.Type().Field(i).Name
			} else if f.Kind() == reflect.Slice {
				for j := range f.Len() {
					if f.Index(j).Addr().Interface() == field {
						name = v.Type().Field(i).Name
					}
				}
			}
		}
		if field == block {
			name = "all"
		}
		if remedy == "" || !strings.HasSuffix(remedy, ".") {
			problem += " (and no remedy)"
		}
		list = append(list, name+": "+problem)
	}
	if c, ok := block.(interface {
		Check(bad func(field any, problem, remedy string))
	}); ok {
		c.Check(say)
	}
	if c, ok := block.(interface {
		Advise(warn func(field any, problem, remedy string))
	}); ok {
		c.Advise(say)
	}
	return list
}

func TestComplaints(t *testing.T) {
	for _, c := range []struct {
		block any
		want  string
	}{
		{&Config{Memory: 256 << 20, MaxObject: 8 << 20}, ""},
		{&Config{Memory: 16 << 20, MaxObject: 8 << 20}, ""},
		{&Config{Memory: 16 << 20, MaxObject: 9 << 20}, "MaxObject: max_object is more than a quarter of memory"},
		{&Config{Memory: 1000, MaxObject: 100}, "Memory: memory is less than 1MiB"},
		{&Config{Memory: 16 << 20}, "MaxObject: max_object is less than one byte"},
		{&Query{Sort: true}, ""},
		{&Query{Drop: []string{"utm_*", "fbclid"}}, ""},
		{&Query{}, "all: query without sort and without drop"},
		{&Query{Drop: []string{"*"}}, "Drop: drop of all parameters"},
		{&Query{Drop: []string{""}}, "Drop: drop of a parameter without a name"},
		{&Query{Drop: []string{"a=b"}}, `Drop: drop "a=b" is no name of a parameter`},
		{&Query{Drop: []string{"*x"}}, `Drop: drop "*x" is no name of a parameter`},
		{&Rule{Paths: []string{"/a", "/b/*", "/*"}, TTL: 1}, ""},
		{&Rule{TTL: 1}, "Paths: rule without a path"},
		{&Rule{Paths: []string{"a"}, TTL: 1}, `Paths: path "a" does not begin with a slash`},
		{&Rule{Paths: []string{"/a?b"}, TTL: 1}, `Paths: path "/a?b" holds a query or a fragment, and only paths are compared`},
		{&Rule{Paths: []string{"/*.css"}, TTL: 1}, `Paths: path "/*.css" has a star elsewhere than in a last "/*"`},
		{&Rule{Paths: []string{"/a b"}, TTL: 1}, `Paths: path "/a b" holds a blank`},
		{&Rule{Paths: []string{"/a"}, Bypass: true}, ""},
		{&Rule{Paths: []string{"/a"}, Bypass: true, TTL: 1}, "Bypass: bypass and something to remember"},
		{&Rule{Paths: []string{"/a"}}, "all: rule that changes nothing"},
	} {
		if got := strings.Join(complaints(c.block), " | "); got != c.want {
			t.Errorf("%+v: %s, want %s", c.block, got, c.want)
		}
	}
}
