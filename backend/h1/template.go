package h1

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// template is a value with words in braces, taken apart.
type template struct {
	text   string  // the whole value, where it has no words
	pieces []piece // else
}

// piece is text, or a word.
type piece struct {
	text string
	word func(dst []byte, x *Exchange) []byte // nil: text
}

// words are what may stand in braces, with what they stand for. None of it can hold a character that has no place in a field.
var words = map[string]func(dst []byte, x *Exchange) []byte{
	"{client_ip}": func(dst []byte, x *Exchange) []byte {
		if a := x.Peer.Addr(); a.IsValid() {
			return a.Unmap().WithZone("").AppendTo(dst)
		}
		return dst
	},
	"{client_port}": func(dst []byte, x *Exchange) []byte { return appendPort(dst, x.Peer) },
	"{host}":        func(dst []byte, x *Exchange) []byte { return append(dst, withoutPort(x.Req.Host)...) },
	"{authority}":   func(dst []byte, x *Exchange) []byte { return append(dst, x.Req.Host...) },
	"{port}": func(dst []byte, x *Exchange) []byte {
		at := x.Local
		if !at.IsValid() && x.Client != nil {
			at = x.Client.Local()
		}
		return appendPort(dst, at)
	},
	"{scheme}": func(dst []byte, x *Exchange) []byte {
		if x.Req.Secure {
			return append(dst, "https"...)
		}
		return append(dst, "http"...)
	},
	"{method}": func(dst []byte, x *Exchange) []byte { return append(dst, x.Req.Method...) },
	"{uri}":    func(dst []byte, x *Exchange) []byte { return append(dst, x.Req.Target...) },
	"{server}": func(dst []byte, x *Exchange) []byte { return append(dst, x.Note.Server...) },
}

func appendPort(dst []byte, a netip.AddrPort) []byte {
	if a.Port() == 0 {
		return dst
	}
	return strconv.AppendUint(dst, uint64(a.Port()), 10)
}

// withoutPort drops the port of an authority. IPv6 addresses keep their brackets.
func withoutPort(host []byte) []byte {
	for i := len(host) - 1; i >= 0; i-- {
		switch c := host[i]; {
		case c == ':':
			return host[:i]
		case c < '0' || c > '9':
			return host
		}
	}
	return host
}

// newTemplate takes a value apart.
func newTemplate(value string) template {
	var t template
	rest := value
	text := 0 // how much of rest is known to be text
	for {
		i := strings.IndexByte(rest[text:], '{')
		if i < 0 {
			break
		}
		i += text
		word := wordAt(rest[i:])
		if words[word] == nil {
			text = i + 1
			continue
		}
		if i > 0 {
			t.pieces = append(t.pieces, piece{text: rest[:i]})
		}
		t.pieces = append(t.pieces, piece{word: words[word]})
		rest, text = rest[i+len(word):], 0
	}
	if t.pieces == nil {
		return template{text: value}
	}
	if rest != "" {
		t.pieces = append(t.pieces, piece{text: rest})
	}
	return t
}

// wordAt returns the word in braces that s begins with, "" where it begins with other text: the object of a JSON value, say.
func wordAt(s string) string {
	end := strings.IndexByte(s, '}')
	if end < 2 || strings.Trim(s[1:end], "abcdefghijklmnopqrstuvwxyz_") != "" {
		return ""
	}
	return s[:end+1]
}

// unknownWord returns the first word in braces that stands for nothing, "" if there is none.
func unknownWord(value string, response bool) string {
	for {
		i := strings.IndexByte(value, '{')
		if i < 0 {
			return ""
		}
		value = value[i:]
		if word := wordAt(value); word != "" && (words[word] == nil || word == "{server}" && !response) {
			return word
		}
		value = value[1:]
	}
}

// wordsFor lists the words of requests or responses.
func wordsFor(response bool) (list []string) {
	for word := range words {
		if response || word != "{server}" {
			list = append(list, word)
		}
	}
	slices.Sort(list)
	return list
}

func (t *template) appendTo(dst []byte, x *Exchange) []byte {
	if t.pieces == nil {
		return append(dst, t.text...)
	}
	for i := range t.pieces {
		if p := &t.pieces[i]; p.word != nil {
			dst = p.word(dst, x)
		} else {
			dst = append(dst, p.text...)
		}
	}
	return dst
}
