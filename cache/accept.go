package cache

import (
	"bytes"
	"strings"

	"gatehouse/backend/h1"
)

// speaks reports whether f is Accept-Language, and the answer is in the one language that the request likes best of all: no server could have
// chosen better.
func (s *selection) speaks(f *selector, req *h1.Header) bool {
	if s.language == "" || !strings.EqualFold(f.name, "Accept-Language") {
		return false
	}
	i := req.IndexName(f.name, 0)
	if i < 0 || req.IndexName(f.name, i+1) >= 0 {
		return false
	}
	var best []byte
	most, alone := 0, false
	for v := req.Value(i); len(v) > 0; {
		var t []byte
		t, v = h1.NextToken(v)
		if len(t) == 0 {
			continue
		}
		tag, parameters, _ := bytes.Cut(t, []byte(";"))
		w, ok := weight(parameters)
		switch {
		case !ok:
			return false
		case w > most:
			best, most, alone = trimBlank(tag), w, true
		case w == most:
			alone = false
		}
	}
	return alone && h1.EqualFold(best, s.language)
}

// weight reads the weight of a list's element (RFC 9110 12.4.2), in thousandths. b is what follows its first semicolon.
func weight(b []byte) (thousandths int, ok bool) {
	if b = trimBlank(b); len(b) == 0 {
		return 1000, true
	}
	if len(b) < 3 || len(b) > 7 || b[0]|0x20 != 'q' || b[1] != '=' || b[2] != '0' && b[2] != '1' || len(b) > 3 && b[3] != '.' {
		return 0, false
	}
	n, unit := int(b[2]-'0')*1000, 100
	for i := 4; i < len(b); i++ {
		if b[i] < '0' || b[i] > '9' {
			return 0, false
		}
		n += int(b[i]-'0') * unit
		unit /= 10
	}
	return n, n <= 1000
}

// The codings an Accept-Encoding is folded to. Everybody who takes the same of them gets the same answer.
const (
	takesGzip = 1 << iota
	takesBrotli
	takesZstd
)

// codingsOf returns which codings a request takes (RFC 9110 12.5.3). That a coding is liked less does not count: the server chose.
func codingsOf(req *h1.Header) (set byte) {
	var refused byte
	star := false
	for i := req.Index(h1.AcceptEncoding, 0); i >= 0; i = req.Index(h1.AcceptEncoding, i+1) {
		for v := req.Value(i); len(v) > 0; {
			var t []byte
			t, v = h1.NextToken(v)
			name, weight, _ := bytes.Cut(t, []byte(";"))
			var bit byte
			switch name = trimBlank(name); {
			case h1.EqualFold(name, "gzip"), h1.EqualFold(name, "x-gzip"):
				bit = takesGzip
			case h1.EqualFold(name, "br"):
				bit = takesBrotli
			case h1.EqualFold(name, "zstd"):
				bit = takesZstd
			case len(name) == 1 && name[0] == '*':
				star = !zeroWeight(weight)
				continue
			}
			if zeroWeight(weight) {
				refused |= bit
			} else {
				set |= bit
			}
		}
	}
	if star {
		set = takesGzip | takesBrotli | takesZstd
	}
	return set &^ refused
}

// zeroWeight reports whether parameters say "q=0" in any form: "A weight value of 0 means 'not acceptable'." (RFC 9110 12.4.2)
func zeroWeight(b []byte) bool {
	b = trimBlank(b)
	if len(b) < 3 || b[0]|0x20 != 'q' || b[1] != '=' || b[2] != '0' {
		return false
	}
	for _, c := range b[3:] {
		if c != '.' && c != '0' {
			return false
		}
	}
	return true
}

// foldable reports whether an answer with that Content-Encoding may be given to everybody with the same folded Accept-Encoding.
func foldable(resp *h1.Header) bool {
	for i := resp.Index(h1.ContentEncoding, 0); i >= 0; i = resp.Index(h1.ContentEncoding, i+1) {
		for v := resp.Value(i); len(v) > 0; {
			var t []byte
			t, v = h1.NextToken(v)
			switch {
			case len(t) == 0, h1.EqualFold(t, "gzip"), h1.EqualFold(t, "x-gzip"), h1.EqualFold(t, "br"), h1.EqualFold(t, "zstd"), h1.EqualFold(t, "identity"):
			default:
				return false
			}
		}
	}
	return true
}
